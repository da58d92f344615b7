/* Processors that stay awake while computing threads wait for one another (`awake.py` says when).

   OpenMP's threads wait many times in each step, mostly for some microseconds. If they sleep meanwhile, and nothing else runs, their
   processor sleeps, too, and takes longer to wake than the wait was (in a virtual machine its host has to wake it); if they spin, they hold
   processors that other programs need. Here one thread of idle priority spins on each processor instead: it runs only where nothing else
   wants to, gives way at once, and a thread that is woken finds its processor awake. */

#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 64 << 10, ROUNDS = 64 };

static int wanted; /* callers that compute now; the spinning threads sleep at 0 */
static pid_t owner; /* the process that has the threads: a fork has none */

static inline void rest(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void *spin(void *processor)
{
    struct sched_param none = {0};
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET((int)(intptr_t)processor, &own);
    if (sched_setaffinity(0, sizeof own, &own) != 0 || sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        return NULL; /* never at a priority of its own */
    for (;;) {
        while (__atomic_load_n(&wanted, __ATOMIC_ACQUIRE) > 0)
            for (int round = 0; round < ROUNDS; round++)
                rest();
        syscall(SYS_futex, &wanted, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

/* One thread on each processor that this one may run on. Signals are for others. */
static void begin(void)
{
    cpu_set_t allowed;
    sigset_t all, before;
    pthread_attr_t plain;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || pthread_attr_init(&plain) != 0)
        return;
    pthread_attr_setstacksize(&plain, STACK);
    pthread_attr_setdetachstate(&plain, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        pthread_t thread;
        if (CPU_ISSET(processor, &allowed))
            pthread_create(&thread, &plain, spin, (void *)(intptr_t)processor);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&plain);
}

/* Another caller computes (1), or one of them is done (-1). Called under Python's lock. */
void hone_awake(int change)
{
    if (owner != getpid()) {
        owner = getpid();
        wanted = 0;
        begin();
    }
    int now = __atomic_add_fetch(&wanted, change, __ATOMIC_ACQ_REL);
    if (now < 0) /* begun before a fork */
        __atomic_store_n(&wanted, 0, __ATOMIC_RELEASE);
    if (change > 0 && now == 1)
        syscall(SYS_futex, &wanted, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
