// The part of libpq that is used. The library is loaded when a queue in PostgreSQL is first opened: whoever has a database of
// this machine neither needs it nor waits for the thirty others that it brings along.
//
// Functions are called as in libpq, with `cpq_` for `PQ`, and mean the same: PostgreSQL 15's documentation, chapter 34.

#ifndef CPOSTGRES_H
#define CPOSTGRES_H

#include <stdbool.h>

/// `PGconn`
typedef struct pg_conn cpq_connection;
/// `PGresult`
typedef struct pg_result cpq_result;

/// `PostgresPollingStatusType`
enum { CPQ_POLL_FAILED = 0, CPQ_POLL_READING = 1, CPQ_POLL_WRITING = 2, CPQ_POLL_OK = 3 };

/// `ExecStatusType`
enum {
    CPQ_EMPTY_QUERY = 0, CPQ_COMMAND_OK = 1, CPQ_TUPLES_OK = 2, CPQ_COPY_OUT = 3, CPQ_COPY_IN = 4, CPQ_BAD_RESPONSE = 5,
    CPQ_NONFATAL_ERROR = 6, CPQ_FATAL_ERROR = 7, CPQ_SINGLE_TUPLE = 9, CPQ_PIPELINE_SYNC = 10, CPQ_PIPELINE_ABORTED = 11,
};

/// What `cpq_error_field` tells.
enum { CPQ_SQLSTATE = 'C', CPQ_MESSAGE = 'M', CPQ_DETAIL = 'D', CPQ_CONSTRAINT = 'n' };

/// A notification; its texts are valid until `cpq_free`.
struct cpq_notification {
    void *memory;
    const char *channel;
    const char *payload;
    int backend;
};

/// Loads the library; NULL, or why that cannot be. May be called again and again, by one thread at a time.
const char *cpq_load(void);

cpq_connection *cpq_connect_start(const char *const *keywords, const char *const *values);
int cpq_connect_poll(cpq_connection *connection);
void cpq_finish(cpq_connection *connection);
bool cpq_is_connected(const cpq_connection *connection);
int cpq_socket(const cpq_connection *connection);
const char *cpq_error_message(const cpq_connection *connection);
const char *cpq_host(const cpq_connection *connection);
const char *cpq_port(const cpq_connection *connection);
const char *cpq_database(const cpq_connection *connection);
const char *cpq_parameter(const cpq_connection *connection, const char *name);
int cpq_backend_pid(const cpq_connection *connection);
bool cpq_needs_password(const cpq_connection *connection);  // the server asked for one, and there is none
bool cpq_used_password(const cpq_connection *connection);
bool cpq_is_in_transaction(const cpq_connection *connection);
/// Whether it can only be rolled back.
bool cpq_has_failed_transaction(const cpq_connection *connection);
/// Has `handle` called with every notice of the server, instead of printing it.
void cpq_on_notice(
    cpq_connection *connection, void (*handle)(void *context, const cpq_result *notice), void *context);

int cpq_set_nonblocking(cpq_connection *connection);
/// Several statements in one text, without values.
int cpq_send(cpq_connection *connection, const char *text);
int cpq_send_prepare(
    cpq_connection *connection, const char *name, const char *text, int count, const unsigned int *types);
/// Values and results are binary.
int cpq_send_prepared(
    cpq_connection *connection, const char *name, int count, const char *const *values, const int *lengths);
int cpq_flush(cpq_connection *connection);
int cpq_consume_input(cpq_connection *connection);
int cpq_is_busy(cpq_connection *connection);
cpq_result *cpq_get_result(cpq_connection *connection);
int cpq_set_single_row_mode(cpq_connection *connection);

int cpq_enter_pipeline(cpq_connection *connection);
int cpq_exit_pipeline(cpq_connection *connection);
int cpq_pipeline_sync(cpq_connection *connection);

int cpq_put_copy_data(cpq_connection *connection, const char *bytes, int count);
/// `reason`: NULL, or why the copy is given up.
int cpq_put_copy_end(cpq_connection *connection, const char *reason);

/// Whether there was a notification.
bool cpq_next_notification(cpq_connection *connection, struct cpq_notification *notification);
void cpq_free(void *memory);

int cpq_status(const cpq_result *result);
const char *cpq_error_field(const cpq_result *result, int field);
int cpq_row_count(const cpq_result *result);
bool cpq_is_null(const cpq_result *result, int row, int column);
int cpq_length(const cpq_result *result, int row, int column);
const char *cpq_value(const cpq_result *result, int row, int column);
/// How many rows the command changed; an empty text if it changes none.
const char *cpq_changed_rows(cpq_result *result);
void cpq_clear(cpq_result *result);

#endif
