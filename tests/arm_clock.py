"""A program for 32-bit ARM that sets the clock to a time after January 2038, as Debian's busybox for armhf cannot."""
import struct

ORIGIN = 0x10000  # address of the file in memory
HEADERS_BYTES = 52 + 32


def clock_setter(seconds):
    """Return a static executable that sets the clock to `seconds` since 1970; its exit code is 0 if that worked."""
    code = struct.pack(
        "<8Iqq",
        0xE3A00000,  # mov r0, #0          CLOCK_REALTIME
        0xE28F1014,  # add r1, pc, #20     the time
        0xE59F7008,  # ldr r7, [pc, #8]    clock_settime64
        0xEF000000,  # svc 0
        0xE3A07001,  # mov r7, #1          exit
        0xEF000000,  # svc 0
        404, 0, seconds, 0)
    bytes_ = HEADERS_BYTES + len(code)
    ident = b"\x7fELF\1\1\1" + bytes(9)  # 32 bits, little endian
    header = struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, ORIGIN + HEADERS_BYTES, 52, 0, 0x5000400, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<8I", 1, 0, ORIGIN, ORIGIN, bytes_, bytes_, 5, 0x1000)
    return ident + header + segment + code
