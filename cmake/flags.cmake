include(CheckCCompilerFlag)

# Warnings, hardening and the flags that our numbers depend on.
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
                    -Wimplicit-fallthrough -Wno-missing-field-initializers -fno-common)
add_compile_definitions(_GNU_SOURCE FED_VERSION="${PROJECT_VERSION}")
if(FEDAVG_WERROR)
  add_compile_options(-Werror)
endif()

# Canonical arithmetic: fused multiply-adds are written, never invented by the compiler; nothing is reassociated.
add_compile_options(-ffp-contract=off -fno-math-errno)

set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

if(FEDAVG_SANITIZE)
  add_compile_options(-fsanitize=${FEDAVG_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FEDAVG_SANITIZE})
elseif(FEDAVG_COVERAGE)
  # Counters are shared by threads and by processes that end together; branches of calls that throw are C++'s.
  add_compile_options(--coverage -fprofile-update=atomic -fprofile-abs-path)
  add_link_options(--coverage)
else()
  # tests/unit/check_hardened.sh looks for all of these in what was built.
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    add_compile_options(-fcf-protection)
  endif()
  check_c_compiler_flag(-ftrivial-auto-var-init=zero FED_HAS_ZERO_INIT) # gcc 12
  if(FED_HAS_ZERO_INIT)
    add_compile_options(-ftrivial-auto-var-init=zero)
  endif()
endif()
add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)

# A build in another folder gives the same bytes (deploy/test --reproducible): no path of this machine, no time, no owner.
add_compile_options(-Werror=date-time)
if(NOT FEDAVG_COVERAGE) # gcov looks for the sources where they were
  add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
endif()
set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_FINISH "<CMAKE_RANLIB> -D <TARGET>")

include(CheckPIESupported)
check_pie_supported()
