// The implementation of CSimdJSON.h. It chooses the size of simdjson's buffers and maps its errors.

#include "CSimdJSON.h"

#include <new>
#include <simdjson.h>

static_assert(CSIMDJSON_PADDING >= simdjson::SIMDJSON_PADDING, "the padding promised in the header is too small");

struct csimdjson_parser {
    simdjson::dom::parser parser;
    size_t max_depth;
};

namespace {

constexpr size_t smallest_capacity = size_t(64) << 10;

// simdjson grows its buffers to exactly the current text, so that each longer line would allocate again: double
// instead.
simdjson::error_code reserve(csimdjson_parser *self, size_t length) {
    size_t capacity = self->parser.capacity();
    if (capacity >= length && capacity != 0) return simdjson::SUCCESS;
    if (capacity < smallest_capacity) capacity = smallest_capacity;
    while (capacity < length) capacity *= 2;
    if (capacity > simdjson::SIMDJSON_MAXSIZE_BYTES) capacity = simdjson::SIMDJSON_MAXSIZE_BYTES;
    if (simdjson::error_code error = self->parser.allocate(capacity, self->max_depth)) return error;
    return self->parser.doc.allocate(capacity);
}

csimdjson_status status_of(simdjson::error_code error) {
    switch (error) {
    case simdjson::SUCCESS: return CSIMDJSON_OK;
    case simdjson::DEPTH_ERROR: return CSIMDJSON_TOO_DEEP;
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC: return CSIMDJSON_NO_MEMORY;
    default: return CSIMDJSON_INVALID;
    }
}

}  // namespace

extern "C" csimdjson_parser *csimdjson_parser_create(size_t max_depth) {
    return new (std::nothrow) csimdjson_parser{simdjson::dom::parser(), max_depth};
}

extern "C" void csimdjson_parser_destroy(csimdjson_parser *parser) { delete parser; }

extern "C" csimdjson_status csimdjson_parse(
    csimdjson_parser *parser, const uint8_t *json, size_t length, csimdjson_document *document) {
    simdjson::error_code error = reserve(parser, length);
    if (error) return status_of(error);
    simdjson::dom::element root;
    error = parser->parser.parse(json, length, /* realloc_if_needed */ false).get(root);
    if (error) return status_of(error);
    document->tape = parser->parser.doc.tape.get();
    document->strings = parser->parser.doc.string_buf.get();
    return CSIMDJSON_OK;
}
