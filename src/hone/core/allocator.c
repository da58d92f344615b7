/* Tensors without holes between them: `posix_memalign` as torch calls it, loaded ahead of glibc's (`allocator.py` says how).

   glibc aligns a block by asking for 96 bytes more and giving the rest back, so the hole that a freed tensor leaves is too small for the
   next one of the same size: after a few steps of training a quarter of the heap is such holes. Here blocks take whole lines of 64 bytes,
   header included, so that what lies behind an aligned block is aligned, too; plain `malloc` then mostly finds an aligned place by itself,
   a hole of the same size among them. Where it does not, glibc aligns as ever. The contract is kept: every block is aligned as asked. */

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

enum { LINE = 64, HEADER = sizeof(size_t), SMALL = 1024, FROM_KERNEL = 32 << 20 };

/* Tells that this file is loaded. */
const int hone_allocator = 1;

int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *found = NULL;
    if (alignment == LINE && size >= SMALL && size < FROM_KERNEL) { /* what comes from the kernel leaves no hole */
        size = ((size + HEADER + LINE - 1) & ~(size_t)(LINE - 1)) - HEADER;
        found = malloc(size);
        if (((uintptr_t)found & (LINE - 1)) != 0) {
            free(found);
            found = NULL;
        }
    }
    if (found == NULL)
        found = memalign(alignment, size);
    if (found == NULL)
        return ENOMEM;
    *block = found;
    return 0;
}
