/* Numbers of this process as "0,5", for what must write "0.5" all the same. The locale is made here: none may be installed.
 */
#ifndef FED_TESTS_UNIT_COMMA_LOCALE_H
#define FED_TESTS_UNIT_COMMA_LOCALE_H

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* False, and a line that says so, where there is no localedef: the test then holds in the locale "C" alone. */
static inline bool comma_locale(void) {
    char dir[] = "/tmp/fedavg-locale.XXXXXX", path[64], command[256];
    if (mkdtemp(dir) == NULL) {
        return false;
    }
    snprintf(path, sizeof path, "%s/source", dir);
    FILE *source = fopen(path, "w");
    if (source != NULL) {
        fputs("LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n", source);
        fclose(source);
    }
    snprintf(command, sizeof command, "localedef -c --no-archive -i %s -f ANSI_X3.4-1968 %s/comma >/dev/null 2>&1", path,
             dir);
    (void)!system(command); /* it complains of all that the locale leaves out */
    setenv("LOCPATH", dir, 1);
    bool made = setlocale(LC_NUMERIC, "comma") != NULL; /* loaded: its file may go */
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -r %s", dir);
    (void)!system(command);
    if (!made) {
        fprintf(stderr, "localedef makes no locale with a decimal comma: looked at with \"C\" alone\n");
    }
    return made;
}

#endif
