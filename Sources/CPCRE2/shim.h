// PCRE2 for 8-bit code units. Swift sees the suffixed names (pcre2_match_8 …); pcre2.h's generic macros stay in C.
#ifndef CPCRE2_SHIM_H
#define CPCRE2_SHIM_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#endif
