"""Where work runs: units of rows, on processes of this machine or on many machines."""
