// hwloc: the machine's processors, caches and memory.
#include <hwloc.h>
