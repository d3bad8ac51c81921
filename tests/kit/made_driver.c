/* An NVIDIA driver with one card, as far as TensorFlow asks it before it takes the card. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { return *version = 12090, 0; }
int cuDeviceGetCount(int *count) {
  const char *shown = getenv("CUDA_VISIBLE_DEVICES");
  return *count = !(shown && !strcmp(shown, "-1")), 0;
}
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetName(char *name, int size, int device) { return strncpy(name, "Made card", size), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = (size_t)8 << 30, 0; }
int cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, 1, 16), 0; }
int cuDeviceGetPCIBusId(char *name, int size, int device) { return strncpy(name, "0000:00:1e.0", size), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 75: return *value = 8, 0;  /* compute capability */
    case 76: return *value = 0, 0;
    case 10: return *value = 32, 0; /* threads of a warp */
    default: return *value = 1024, 0;
  }
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = (void *)4096, 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { return *flags = *active = 0; }
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { return 0; }
int cuCtxGetCurrent(void **context) { return *context = (void *)4096, 0; }
int cuCtxSetCurrent(void *context) { return 0; }
int cuCtxGetDevice(int *device) { return *device = 0; }
int cuMemGetInfo_v2(size_t *left, size_t *total) { return *left = *total = (size_t)8 << 30, 0; }

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **card) { return *card = (void *)4096, 0; }
const char *nvmlErrorString(int error) { return "made"; }

/* Of every CUDA library TensorFlow asks this alone. */
size_t cudnnGetVersion(void) { return 90300; }
int cudaRuntimeGetVersion(int *version) { return *version = 12050, 0; }
