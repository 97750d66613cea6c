// Preloaded into a process, this makes the system's clock jump for that process alone: by as many nanoseconds
// as the first eight bytes of the file OWN_CLOCK say. Clocks that never jump are left as they are.
//
// Waits until a date count as in the kernel: a clock that is set back prolongs those that are going on, too.
// (One that is set ahead would end them; here they last as long as was meant.)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
// Functions that wait don't say by which clock. A time since the computer's start is no date, and none of this
// century is as early as this.
#define A_DATE_S 1000000000LL

static const int64_t none = 0;
static const volatile int64_t *ahead_ns = &none;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("OWN_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        perror("OWN_CLOCK");
        _exit(1);
    }
    ahead_ns = page;
    close(file);
}

static struct timespec plus(const struct timespec *moment, int64_t by_ns)
{
    int64_t ns = moment->tv_sec * SECOND_NS + moment->tv_nsec + by_ns;
    return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *now = plus(now, *ahead_ns);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec fine;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &fine);
    if (!failed) *now = (struct timeval){.tv_sec = fine.tv_sec, .tv_usec = fine.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *now)
{
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (now != NULL) *now = fine.tv_sec;
    return fine.tv_sec;
}

// Wait by `call`, which knows the time as `real` and its `clock`, until `date`; or until what is no date.
#define WAIT_UNTIL(date, call)                            \
    clockid_t clock = CLOCK_MONOTONIC;                    \
    struct timespec real = *(date);                       \
    int ended;                                            \
    if ((date)->tv_sec < A_DATE_S) return call;           \
    clock = CLOCK_REALTIME;                               \
    int64_t by_ns;                                        \
    do {                                                  \
        by_ns = *ahead_ns;                                \
        real = plus((date), -by_ns);                      \
        ended = call;                                     \
    } while (TIMED_OUT(ended) && *ahead_ns < by_ns);      \
    return ended;

#define TIMED_OUT(ended) ((ended) == ETIMEDOUT)
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    WAIT_UNTIL(until, pthread_cond_clockwait(condition, mutex, clock, &real))
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    WAIT_UNTIL(until, pthread_mutex_clocklock(mutex, clock, &real))
}
#undef TIMED_OUT

#define TIMED_OUT(ended) ((ended) == -1 && errno == ETIMEDOUT)
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    WAIT_UNTIL(until, sem_clockwait(semaphore, clock, &real))
}
