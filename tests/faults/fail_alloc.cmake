# fed_fail_alloc(target): the target's own allocations can be made to fail (fail_alloc.h).
set(FED_FAIL_ALLOC ${CMAKE_CURRENT_LIST_DIR}/fail_alloc.c)
function(fed_fail_alloc target)
  target_sources(${target} PRIVATE ${FED_FAIL_ALLOC})
  foreach(function malloc calloc realloc reallocarray aligned_alloc sodium_malloc strdup open_memstream asprintf
                   __asprintf_chk)
    target_link_options(${target} PRIVATE -Wl,--wrap=${function})
  endforeach()
endfunction()
