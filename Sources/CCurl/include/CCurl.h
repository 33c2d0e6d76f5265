// One HTTP request after another with libcurl, which is loaded when the first is made: whoever works on a database of this
// machine does not pay for it.

#ifndef CCURL_H
#define CCURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A connection that is kept open between requests.
typedef struct ccurl_connection ccurl_connection;

/// Gives at most `room` bytes of a body; 0 at its end, `CCURL_ABORT` to give up.
typedef size_t (*ccurl_input)(char *bytes, size_t size, size_t room, void *context);
/// Takes `count` bytes of an answer; anything but `count` gives up.
typedef size_t (*ccurl_output)(char *bytes, size_t size, size_t count, void *context);

#define CCURL_ABORT 0x10000000

/// A request.
struct ccurl_request {
    const char *url;
    /// NULL: over TCP.
    const char *unix_socket;
    /// GET, else POST.
    bool is_get;
    /// Whether no proxy is used, whatever the environment says.
    bool is_direct;
    /// Lines of the header, ended by NULL.
    const char *const *headers;
    /// NULL: no body.
    ccurl_input input;
    /// The body's length in bytes; −1: it is sent in chunks.
    int64_t length;
    ccurl_output output;
    /// Passed to `input` and `output`.
    void *context;
    /// Seconds without a byte, after which the request is given up.
    long stall_seconds;
};

/// How a request ended.
struct ccurl_answer {
    /// The HTTP status; 0 if none came.
    long status;
    /// Whether it was answered to the end.
    bool is_whole;
    /// Whether a byte of it was sent.
    bool was_sent;
    /// Why it was not answered.
    char reason[256];
};

/// Loads libcurl. Returns NULL, or why that is not possible.
const char *ccurl_load(void);

/// A new connection; NULL if there is no memory. `ccurl_load` comes first.
ccurl_connection *ccurl_open(void);

/// Makes a request and waits for its answer.
void ccurl_perform(ccurl_connection *connection, const struct ccurl_request *request, struct ccurl_answer *answer);

/// Closes it.
void ccurl_close(ccurl_connection *connection);

#endif
