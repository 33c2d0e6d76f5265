// zlib, to unpack gzip files.
#ifndef CZLIB_SHIM_H
#define CZLIB_SHIM_H

#include <zlib.h>

// inflateInit2 is a macro, which Swift does not see. 16 more window bits ask for gzip's header and checksum.
static inline int czlib_gunzip_init(z_stream *stream) { return inflateInit2(stream, MAX_WBITS + 16); }

#endif
