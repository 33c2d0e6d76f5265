// A C surface over simdjson's DOM parser: one JSON text in, its flat tape out.
//
// The tape is simdjson's own (https://github.com/simdjson/simdjson/blob/master/doc/tape.md): 64-bit words, the type's
// letter in the top eight bits and a payload in the other 56, so that a caller reads a document without a call per
// value.

#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Bytes that must be readable after the end of every text handed to `csimdjson_parse`; their values do not matter.
enum { CSIMDJSON_PADDING = 64 };

/// How a parse ended.
typedef enum {
    CSIMDJSON_OK = 0,
    /// The text is not JSON, or has a number that fits neither a 64-bit integer nor a finite double.
    CSIMDJSON_INVALID,
    /// Objects and arrays are nested deeper than the parser allows.
    CSIMDJSON_TOO_DEEP,
    /// Memory ran out, or the text is larger than simdjson can take (4 GiB).
    CSIMDJSON_NO_MEMORY,
} csimdjson_status;

/// A parsed document. Its pointers belong to the parser and are valid until its next parse or its destruction.
typedef struct {
    const uint64_t *tape;
    const uint8_t *strings;
} csimdjson_document;

/// A parser, which reuses its buffers for all texts. Not thread-safe.
typedef struct csimdjson_parser csimdjson_parser;

/// Returns a parser that refuses nesting deeper than `max_depth`, or null if memory ran out.
csimdjson_parser *csimdjson_parser_create(size_t max_depth);

void csimdjson_parser_destroy(csimdjson_parser *parser);

/// Parses `length` bytes at `json`, which `CSIMDJSON_PADDING` readable bytes must follow.
csimdjson_status csimdjson_parse(
    csimdjson_parser *parser, const uint8_t *json, size_t length, csimdjson_document *document);

#ifdef __cplusplus
}
#endif

#endif
