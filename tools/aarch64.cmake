# Cross build for arm64 Linux with Debian's gcc-aarch64-linux-gnu; programs run under qemu-user.
# MTS_ARM64_ROOT: the folder `root` that tools/fetch_arm64_libs.sh made.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MTS_ARM64_ROOT)

set(CMAKE_FIND_ROOT_PATH ${MTS_ARM64_ROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${MTS_ARM64_ROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${MTS_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR
    qemu-aarch64;-L;/usr/aarch64-linux-gnu;-E
    LD_LIBRARY_PATH=${MTS_ARM64_ROOT}/usr/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib)
