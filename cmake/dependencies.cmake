# What we link: Debian's libraries by pkg-config, and the pinned code that tools/setup put into .deps/.
set(deps ${CMAKE_SOURCE_DIR}/.deps)
foreach(file duckdb/lib/libduckdb.so duckdb/include/duckdb.h yyjson/yyjson.c nanoarrow/nanoarrow/nanoarrow.h)
  if(NOT EXISTS ${deps}/${file})
    message(FATAL_ERROR "cannot find .deps/${file}: run tools/setup build")
  endif()
endforeach()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(CURL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)

# tl_system(NAME MODULE) - one of Debian's libraries as target tl_NAME.
function(tl_system name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  add_library(tl_${name} ALIAS PkgConfig::${name})
endfunction()
tl_system(sqlite sqlite3)
tl_system(libdeflate libdeflate)
tl_system(zstd libzstd)
tl_system(xxhash libxxhash)

add_library(tl_duckdb SHARED IMPORTED)
set_target_properties(tl_duckdb PROPERTIES IMPORTED_LOCATION ${deps}/duckdb/lib/libduckdb.so
  INTERFACE_INCLUDE_DIRECTORIES ${deps}/duckdb/include)

# tl_third_party(NAME SOURCE...) - third-party C as a static library; its warnings are not ours to mend.
function(tl_third_party name)
  add_library(tl_${name} STATIC ${ARGN})
  target_compile_options(tl_${name} PRIVATE -w)
endfunction()

tl_third_party(yyjson ${deps}/yyjson/yyjson.c)
target_include_directories(tl_yyjson SYSTEM PUBLIC ${deps}/yyjson)

set(arrow ${deps}/nanoarrow/nanoarrow)
set(flatcc ${deps}/nanoarrow/flatcc)
tl_third_party(nanoarrow ${arrow}/common/array.c ${arrow}/common/array_stream.c ${arrow}/common/schema.c
  ${arrow}/common/utils.c ${arrow}/ipc/codecs.c ${arrow}/ipc/decoder.c ${arrow}/ipc/encoder.c ${arrow}/ipc/reader.c
  ${arrow}/ipc/writer.c ${flatcc}/runtime/builder.c ${flatcc}/runtime/emitter.c ${flatcc}/runtime/verifier.c
  ${flatcc}/runtime/refmap.c)
target_include_directories(tl_nanoarrow SYSTEM PUBLIC ${deps}/nanoarrow ${CMAKE_BINARY_DIR}/nanoarrow
  PRIVATE ${flatcc}/include)
# Its configured header; the names get a prefix so that a program may hold its own nanoarrow beside ours.
file(STRINGS ${CMAKE_SOURCE_DIR}/third_party/lock arrow_line REGEX "^nanoarrow ")
string(REGEX MATCH "([0-9]+)\\.([0-9]+)\\.([0-9]+)" NANOARROW_VERSION "${arrow_line}")
set(NANOARROW_VERSION_MAJOR ${CMAKE_MATCH_1})
set(NANOARROW_VERSION_MINOR ${CMAKE_MATCH_2})
set(NANOARROW_VERSION_PATCH ${CMAKE_MATCH_3})
set(NANOARROW_NAMESPACE_DEFINE "#define NANOARROW_NAMESPACE Ticklake")
configure_file(${arrow}/nanoarrow_config.h.in ${CMAKE_BINARY_DIR}/nanoarrow/nanoarrow/nanoarrow_config.h @ONLY)
