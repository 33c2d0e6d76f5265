// crypt(3) of libcrypt, for hashes of secrets.
#ifndef CCRYPT_SHIM_H
#define CCRYPT_SHIM_H

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

// The hash of `phrase` with the method and salt that `setting` begins with, in memory for `free`; null if it has none. The
// working memory, which crypt_r would leave to the caller, has traces of the phrase and is wiped.
static inline char *ccrypt_hash(const char *phrase, const char *setting) {
    struct crypt_data *data = (struct crypt_data *)calloc(1, sizeof(struct crypt_data));
    if (!data) return NULL;
    const char *hash = crypt_r(phrase, setting, data);
    char *copy = hash && hash[0] == '$' ? strdup(hash) : NULL;
    explicit_bzero(data, sizeof(struct crypt_data));
    free(data);
    return copy;
}

#endif
