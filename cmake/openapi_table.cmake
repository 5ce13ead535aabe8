# cmake -D IN=openapi.json -D OUT=table.c -P openapi_table.cmake: the file's bytes as an array of C.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT}.part "/* Made by cmake/openapi_table.cmake from coordinator/http/openapi.json. */
#include \"coordinator/http/openapi.h\"

const unsigned char FED_OPENAPI[] = {
${hex}};
const size_t FED_OPENAPI_BYTES = sizeof FED_OPENAPI;
")
file(RENAME ${OUT}.part ${OUT})
