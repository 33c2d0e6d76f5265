// libpq's functions, found by name when they are first needed.

#include "CPostgres.h"

#include <dlfcn.h>
#include <string.h>

#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

_Static_assert(CPQ_POLL_FAILED == PGRES_POLLING_FAILED && CPQ_POLL_READING == PGRES_POLLING_READING
    && CPQ_POLL_WRITING == PGRES_POLLING_WRITING && CPQ_POLL_OK == PGRES_POLLING_OK, "as in libpq-fe.h");
_Static_assert(CPQ_EMPTY_QUERY == PGRES_EMPTY_QUERY && CPQ_COMMAND_OK == PGRES_COMMAND_OK
    && CPQ_TUPLES_OK == PGRES_TUPLES_OK && CPQ_COPY_OUT == PGRES_COPY_OUT && CPQ_COPY_IN == PGRES_COPY_IN
    && CPQ_BAD_RESPONSE == PGRES_BAD_RESPONSE && CPQ_NONFATAL_ERROR == PGRES_NONFATAL_ERROR
    && CPQ_FATAL_ERROR == PGRES_FATAL_ERROR && CPQ_SINGLE_TUPLE == PGRES_SINGLE_TUPLE
    && CPQ_PIPELINE_SYNC == PGRES_PIPELINE_SYNC && CPQ_PIPELINE_ABORTED == PGRES_PIPELINE_ABORTED, "as in libpq-fe.h");
_Static_assert(CPQ_SQLSTATE == PG_DIAG_SQLSTATE && CPQ_MESSAGE == PG_DIAG_MESSAGE_PRIMARY
    && CPQ_DETAIL == PG_DIAG_MESSAGE_DETAIL && CPQ_CONSTRAINT == PG_DIAG_CONSTRAINT_NAME, "as in libpq-fe.h");

// Each with the type that the header gives it.
#define FUNCTIONS(X) \
    X(PQconnectStartParams) X(PQconnectPoll) X(PQfinish) X(PQstatus) X(PQsocket) X(PQerrorMessage) X(PQhost) X(PQport) X(PQdb) \
    X(PQparameterStatus) X(PQbackendPID) X(PQtransactionStatus) X(PQsetNoticeReceiver) X(PQsetnonblocking) \
    X(PQsendQuery) X(PQsendPrepare) X(PQsendQueryPrepared) X(PQflush) X(PQconsumeInput) X(PQisBusy) X(PQgetResult) \
    X(PQsetSingleRowMode) X(PQenterPipelineMode) X(PQexitPipelineMode) X(PQpipelineSync) X(PQputCopyData) X(PQputCopyEnd) \
    X(PQnotifies) X(PQfreemem) X(PQresultStatus) X(PQresultErrorField) X(PQntuples) X(PQgetisnull) \
    X(PQgetlength) X(PQgetvalue) X(PQcmdTuples) X(PQclear) X(PQconnectionNeedsPassword) X(PQconnectionUsedPassword)

static struct {
#define POINTER(function) __typeof__(&function) function;
    FUNCTIONS(POINTER)
} lib;

const char *cpq_load(void) {
    static bool is_loaded;
    if (is_loaded) return NULL;
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) return dlerror();
    void *found;
#define FIND(function) \
    if (!(found = dlsym(library, #function))) return "its libpq is older than PostgreSQL 14: " #function " is missing"; \
    memcpy(&lib.function, &found, sizeof found);
    FUNCTIONS(FIND)
    is_loaded = true;
    return NULL;
}

cpq_connection *cpq_connect_start(const char *const *keywords, const char *const *values) {
    return lib.PQconnectStartParams(keywords, values, 1);
}
int cpq_connect_poll(cpq_connection *connection) { return (int)lib.PQconnectPoll(connection); }
void cpq_finish(cpq_connection *connection) { lib.PQfinish(connection); }
bool cpq_is_connected(const cpq_connection *connection) { return lib.PQstatus(connection) == CONNECTION_OK; }
int cpq_socket(const cpq_connection *connection) { return lib.PQsocket(connection); }
const char *cpq_error_message(const cpq_connection *connection) { return lib.PQerrorMessage(connection); }
const char *cpq_host(const cpq_connection *connection) { return lib.PQhost(connection); }
const char *cpq_port(const cpq_connection *connection) { return lib.PQport(connection); }
const char *cpq_database(const cpq_connection *connection) { return lib.PQdb(connection); }
const char *cpq_parameter(const cpq_connection *connection, const char *name) {
    return lib.PQparameterStatus(connection, name);
}
int cpq_backend_pid(const cpq_connection *connection) { return lib.PQbackendPID(connection); }
bool cpq_needs_password(const cpq_connection *connection) { return lib.PQconnectionNeedsPassword(connection); }
bool cpq_used_password(const cpq_connection *connection) { return lib.PQconnectionUsedPassword(connection); }
bool cpq_is_in_transaction(const cpq_connection *connection) {
    return lib.PQtransactionStatus(connection) != PQTRANS_IDLE;
}
bool cpq_has_failed_transaction(const cpq_connection *connection) {
    return lib.PQtransactionStatus(connection) == PQTRANS_INERROR;
}

void cpq_on_notice(
    cpq_connection *connection, void (*handle)(void *context, const cpq_result *notice), void *context) {
    lib.PQsetNoticeReceiver(connection, handle, context);
}

int cpq_set_nonblocking(cpq_connection *connection) { return lib.PQsetnonblocking(connection, 1); }
int cpq_send(cpq_connection *connection, const char *text) { return lib.PQsendQuery(connection, text); }
int cpq_send_prepare(
    cpq_connection *connection, const char *name, const char *text, int count, const unsigned int *types) {
    return lib.PQsendPrepare(connection, name, text, count, types);
}
int cpq_send_prepared(
    cpq_connection *connection, const char *name, int count, const char *const *values, const int *lengths) {
    // No statement here has as many.
    static const int binary[256] = {[0 ... 255] = 1};
    return lib.PQsendQueryPrepared(connection, name, count, values, lengths, binary, 1);
}
int cpq_flush(cpq_connection *connection) { return lib.PQflush(connection); }
int cpq_consume_input(cpq_connection *connection) { return lib.PQconsumeInput(connection); }
int cpq_is_busy(cpq_connection *connection) { return lib.PQisBusy(connection); }
cpq_result *cpq_get_result(cpq_connection *connection) { return lib.PQgetResult(connection); }
int cpq_set_single_row_mode(cpq_connection *connection) { return lib.PQsetSingleRowMode(connection); }

int cpq_enter_pipeline(cpq_connection *connection) { return lib.PQenterPipelineMode(connection); }
int cpq_exit_pipeline(cpq_connection *connection) { return lib.PQexitPipelineMode(connection); }
int cpq_pipeline_sync(cpq_connection *connection) { return lib.PQpipelineSync(connection); }

int cpq_put_copy_data(cpq_connection *connection, const char *bytes, int count) {
    return lib.PQputCopyData(connection, bytes, count);
}
int cpq_put_copy_end(cpq_connection *connection, const char *reason) { return lib.PQputCopyEnd(connection, reason); }

bool cpq_next_notification(cpq_connection *connection, struct cpq_notification *notification) {
    PGnotify *found = lib.PQnotifies(connection);
    if (!found) return false;
    *notification = (struct cpq_notification){found, found->relname, found->extra, found->be_pid};
    return true;
}
void cpq_free(void *memory) { lib.PQfreemem(memory); }

int cpq_status(const cpq_result *result) { return (int)lib.PQresultStatus(result); }
const char *cpq_error_field(const cpq_result *result, int field) { return lib.PQresultErrorField(result, field); }
int cpq_row_count(const cpq_result *result) { return lib.PQntuples(result); }
bool cpq_is_null(const cpq_result *result, int row, int column) { return lib.PQgetisnull(result, row, column); }
int cpq_length(const cpq_result *result, int row, int column) { return lib.PQgetlength(result, row, column); }
const char *cpq_value(const cpq_result *result, int row, int column) { return lib.PQgetvalue(result, row, column); }
const char *cpq_changed_rows(cpq_result *result) { return lib.PQcmdTuples(result); }
void cpq_clear(cpq_result *result) { lib.PQclear(result); }
