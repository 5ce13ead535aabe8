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
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-D_FORTIFY_SOURCE=2)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
    add_compile_options(-fcf-protection)
  endif()
endif()
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)

# A build in another folder gives the same bytes.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

include(CheckPIESupported)
check_pie_supported()
