# cmake -D OUT=table.c -D FILES=a;b;c -P page_table.cmake: files as the table of coordinator/http/assets.h. The same files, wherever
# they lie, give the same bytes. All licences are one text, /licences.txt, each under the name of what it is for.
set(count 0)
set(declarations "")
set(rows "")
set(licences "")

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_txt "text/plain; charset=utf-8")

# Adds the bytes, which are given in hexadecimal, to be served as a path.
function(add_asset path type hex)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(SHA256 digest "${hex}")
  string(SUBSTRING ${digest} 0 32 etag)
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(APPEND declarations "static const unsigned char ASSET_${count}[] = {\n${hex}};\n")
  string(APPEND rows "    {\"${path}\", \"${type}\", ASSET_${count}, ${size}, \"\\\"${etag}\\\"\"},\n")
  math(EXPR count "${count} + 1")
  set(count ${count} PARENT_SCOPE)
  set(declarations "${declarations}" PARENT_SCOPE)
  set(rows "${rows}" PARENT_SCOPE)
endfunction()

foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  get_filename_component(ending ${file} LAST_EXT)
  file(READ ${file} hex HEX)
  if(name STREQUAL "LICENSE")
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(what ${folder} NAME)
    if(NOT what STREQUAL "uplot")
      set(what fedavg)
    endif()
    string(HEX "\n== ${what} ==\n\n" heading)
    string(APPEND licences "${heading}${hex}")
  else()
    string(SUBSTRING ${ending} 1 -1 kind)
    string(REGEX REPLACE "^index\\.html$" "" path ${name})
    add_asset("/${path}" "${type_${kind}}" "${hex}")
  endif()
endforeach()
if(licences)
  add_asset(/licences.txt "${type_txt}" "${licences}")
endif()

file(WRITE ${OUT}.part "/* Made by cmake/page_table.cmake from page/. */
#include \"coordinator/http/assets.h\"

${declarations}
const struct fed_asset FED_ASSETS[] = {
${rows}};
const size_t FED_ASSETS_COUNT = ${count};
")
file(RENAME ${OUT}.part ${OUT})
