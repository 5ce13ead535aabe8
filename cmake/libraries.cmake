# Third-party libraries; deploy/install-deps installs them. Each is used behind one door (tests/unit/check_map.sh).
find_package(PkgConfig REQUIRED)

# fed_needs(target module version): the target PkgConfig::<target>; `fedavg doctor` holds the library that runs against it too.
set(FED_LEAST "")
function(fed_needs target module version)
  pkg_check_modules(${target} REQUIRED IMPORTED_TARGET GLOBAL ${module}>=${version})
  string(TOUPPER ${target} word)
  list(APPEND FED_LEAST FED_LEAST_${word}="${version}")
  set(FED_LEAST ${FED_LEAST} PARENT_SCOPE)
endfunction()
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
# 3.0.3, the last release, has no file for pkg-config.
find_path(CSV_INCLUDE_DIR csv.h REQUIRED)
find_library(CSV_LIBRARY csv REQUIRED)
add_library(csv::csv UNKNOWN IMPORTED)
set_target_properties(csv::csv PROPERTIES IMPORTED_LOCATION ${CSV_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CSV_INCLUDE_DIR})
# 1.0.18: what Debian 11 and Ubuntu 20.04 ship; the oldest that the seal's known answers were checked with.
fed_needs(sodium libsodium 1.0.18)
# 4.3.4: strangers could hang or bloat a listener before the handshake until 4.3.3 (CVE-2020-15166).
fed_needs(zmq libzmq 4.3.4)
# 1.4.1: crafted bytes could overflow the parser before (CVE-2022-33070, CVE-2022-48468).
fed_needs(protobufc libprotobuf-c 1.4.1)
# 3.37: STRICT tables.
fed_needs(sqlite sqlite3 3.37)
# 0.2.5: the last release; what every distribution since 2021 ships.
fed_needs(yaml yaml-0.1 0.2.5)
# 2.13: the oldest we build with; reference counts are atomic since 2.11.
fed_needs(jansson jansson 2.13)
# 0.9.71: callbacks return enum MHD_Result.
fed_needs(microhttpd libmicrohttpd 0.9.71)
# 7.80: the oldest we build with; used only by `fedavg status URL`.
fed_needs(curl libcurl 7.80)
# 1.7: what Debian 11 and Ubuntu 22.04 ship; used only by `fedavg export`.
fed_needs(zip libzip 1.7)
# The compiler of protobuf-c; it needs protobuf's own compiler beside it.
find_program(PROTOC_C protoc-c REQUIRED)
