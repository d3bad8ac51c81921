"""Where photos lie, and what is drawn of them: folder, video, geometry, thumbnails."""
