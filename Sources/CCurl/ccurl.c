// libcurl's functions, found by name when they are first needed, and what a request sets of them.

#include "CCurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct {
    CURLcode (*global_init)(long);
    CURL *(*easy_init)(void);
    void (*easy_reset)(CURL *);
    void (*easy_cleanup)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    CURLcode (*easy_perform)(CURL *);
    const char *(*easy_strerror)(CURLcode);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
} lib;

static bool find(void *library, const char *name, void *place) {
    void *found = dlsym(library, name);
    memcpy(place, &found, sizeof found);
    return found != NULL;
}

const char *ccurl_load(void) {
    static bool is_loaded;
    if (is_loaded) return NULL;
    // The second is what Debian calls the same interface over GnuTLS.
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) return dlerror();
    is_loaded = find(library, "curl_global_init", &lib.global_init) && find(library, "curl_easy_init", &lib.easy_init)
        && find(library, "curl_easy_reset", &lib.easy_reset) && find(library, "curl_easy_cleanup", &lib.easy_cleanup)
        && find(library, "curl_easy_setopt", &lib.easy_setopt) && find(library, "curl_easy_getinfo", &lib.easy_getinfo)
        && find(library, "curl_easy_perform", &lib.easy_perform)
        && find(library, "curl_easy_strerror", &lib.easy_strerror)
        && find(library, "curl_slist_append", &lib.slist_append)
        && find(library, "curl_slist_free_all", &lib.slist_free_all)
        && lib.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return is_loaded ? NULL : "the library is not libcurl 7";
}

ccurl_connection *ccurl_open(void) { return (ccurl_connection *)lib.easy_init(); }

void ccurl_close(ccurl_connection *connection) { lib.easy_cleanup((CURL *)connection); }

void ccurl_perform(ccurl_connection *connection, const struct ccurl_request *request, struct ccurl_answer *answer) {
    CURL *curl = (CURL *)connection;
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    for (const char *const *line = request->headers; *line; line++) headers = lib.slist_append(headers, *line);
    // The connection outlives a reset; the options of the request before do not.
    lib.easy_reset(curl);
    lib.easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    lib.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    lib.easy_setopt(curl, CURLOPT_URL, request->url);
    if (request->unix_socket) lib.easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (request->is_direct) lib.easy_setopt(curl, CURLOPT_PROXY, "");
    lib.easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib.easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    lib.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    lib.easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    lib.easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request->stall_seconds);
    lib.easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    lib.easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    lib.easy_setopt(curl, CURLOPT_WRITEFUNCTION, request->output);
    lib.easy_setopt(curl, CURLOPT_WRITEDATA, request->context);
    if (!request->is_get) {
        lib.easy_setopt(curl, CURLOPT_POST, 1L);
        // On a connection of its own, because libcurl sends a request again if one that was kept open turns out to be closed.
        lib.easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        if (request->input) {
            lib.easy_setopt(curl, CURLOPT_READFUNCTION, request->input);
            lib.easy_setopt(curl, CURLOPT_READDATA, request->context);
            if (request->length >= 0) lib.easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->length);
            else headers = lib.slist_append(headers, "Transfer-Encoding: chunked");
        } else {
            lib.easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        }
    }
    lib.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = lib.easy_perform(curl);
    long sent = 0;
    lib.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    lib.easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
    answer->is_whole = code == CURLE_OK;
    answer->was_sent = sent > 0;
    snprintf(answer->reason, sizeof answer->reason, "%s", error[0] ? error : lib.easy_strerror(code));
    lib.slist_free_all(headers);
    // The buffer for errors is gone when this returns.
    lib.easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
}
