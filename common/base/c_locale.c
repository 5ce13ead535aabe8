#include "common/base/c_locale.h"

locale_t fed_c_locale(void) { return newlocale(LC_ALL_MASK, "C", (locale_t)0); }

locale_t fed_c_locale_set(void) { return uselocale(fed_c_locale()); }
