/*
 * Prints the rate of this processor's time stamp counter in kHz, measured against CLOCK_MONOTONIC_RAW.
 *
 * The guest's TSC is the host's under TCG and KVM alike; without tsc_early_khz= on its command line the guest
 * calibrates against emulated timers, which sometimes fails under emulation and hangs the boot.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define MEASURE_NS 100000000LL
#define TRIES 5

struct sample { int64_t ns; uint64_t tsc; };

static int64_t raw_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The tightest of a few readings: the one that no interrupt fell into. */
static struct sample read_pair(void)
{
	struct sample best = { 0, 0 };
	int64_t width = INT64_MAX;

	for (int i = 0; i < 32; i++) {
		int64_t before = raw_ns();
		uint64_t tsc = __rdtsc();
		int64_t after = raw_ns();

		if (after - before < width) {
			width = after - before;
			best = (struct sample){ before + width / 2, tsc };
		}
	}
	return best;
}

static int64_t measure_khz(void)
{
	struct timespec pause = { 0, MEASURE_NS };
	struct sample start = read_pair();

	nanosleep(&pause, NULL);

	struct sample end = read_pair();

	return (int64_t)((double)(end.tsc - start.tsc) * 1e6 / (double)(end.ns - start.ns) + 0.5);
}

int main(void)
{
	int64_t khz[TRIES];

	for (int i = 0; i < TRIES; i++)
		khz[i] = measure_khz();
	for (int i = 1; i < TRIES; i++)
		for (int j = i; j > 0 && khz[j - 1] > khz[j]; j--) {
			int64_t swap = khz[j];

			khz[j] = khz[j - 1];
			khz[j - 1] = swap;
		}
	printf("%lld\n", (long long)khz[TRIES / 2]);
	return 0;
}
