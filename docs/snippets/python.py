# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python package: calls that wait, and many requests at a time."""

import sys

# [wait]
import vfn

with vfn.open(sys.argv[1]) as ns:
    size = ns.info.block_size
    ns.write(0, b"hello".ljust(size, b"\0"))
    ns.flush()
    print(ns.read(0)[:5], "of", ns.info.nblocks, "blocks")
# [wait-end]

# [many]
with vfn.open(sys.argv[1], queues=2) as ns, ns.queue() as queue:
    data = ns.alloc(64 * 4096)
    for place in range(0, len(data), 4096):
        queue.submit(vfn.Request(vfn.Op.READ, place // size, data[place:place + 4096]))
    while queue:
        for request in queue.wait():
            request.check()
    print(bytes(data[:5]))
# [many-end]

# [errors]
with vfn.open(sys.argv[1]) as ns:
    try:
        ns.read(8)
    except vfn.Error as error:
        print(error.strerror)
        if error.status:
            print(f"status {error.status:#x}: {error.status_text}")
# [errors-end]
