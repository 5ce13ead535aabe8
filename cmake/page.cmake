# The live page, compiled into the coordinator: page/*.{html,css,js}, uPlot as deploy/get-page fetched it, and the licences of
# both become the table of coordinator/http/assets.h. Without uPlot the table holds one page that says what to do.
option(FEDAVG_PAGE_REQUIRED "stop here where uPlot, which the page draws its curves with, has not been fetched" OFF)

set(uplot ${CMAKE_SOURCE_DIR}/page/node_modules/uplot)
# Looked for anew in each build, so that a build after deploy/get-page has the page.
file(GLOB uplot_files CONFIGURE_DEPENDS ${uplot}/dist/uPlot.iife.min.js ${uplot}/dist/uPlot.min.css ${uplot}/LICENSE)
list(LENGTH uplot_files count)
if(count EQUAL 3)
  file(GLOB page_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/page/*.html ${CMAKE_SOURCE_DIR}/page/*.css
                                         ${CMAKE_SOURCE_DIR}/page/*.js)
  list(APPEND page_files ${uplot_files} ${CMAKE_SOURCE_DIR}/LICENSE)
else()
  set(sentence "the coordinator is built without its page, for page/node_modules lacks uPlot: run deploy/get-page and build again")
  if(FEDAVG_PAGE_REQUIRED)
    message(FATAL_ERROR ${sentence})
  endif()
  message(WARNING ${sentence})
  file(GLOB page_files ${CMAKE_SOURCE_DIR}/page/unbuilt/index.html)
endif()

set(page_table ${CMAKE_BINARY_DIR}/page/assets_table.c)
add_custom_command(
  OUTPUT ${page_table}
  COMMAND ${CMAKE_COMMAND} -D "OUT=${page_table}" -D "FILES=${page_files}" -P ${CMAKE_SOURCE_DIR}/cmake/page_table.cmake
  DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/page_table.cmake ${CMAKE_SOURCE_DIR}/cmake/page.cmake
  VERBATIM)
target_sources(fed_coordinator PRIVATE ${page_table})
