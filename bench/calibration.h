/* What the machine gives at this moment: three figures of fixed work, printed beside every benchmark, so that results of
 * different machines and minutes can be told apart from results of different programs. */
#ifndef FED_BENCH_CALIBRATION_H
#define FED_BENCH_CALIBRATION_H

struct calibration {
    double fma_gflops; /* calibration_fma of the widest vectors this processor has; the best of a few passes */
    double copy_gb_s;  /* one thread copying blocks of 256 KiB through 64 MiB; the best of a few passes */
    double chain_ns;   /* one dependent multiply-add of integers; the best of a few passes */
};

/* GFLOP/s of one thread that does nothing but fused multiply-adds in the vectors of a kernel set ("avx512", "avx2",
 * "neon"); 0 where this processor has none of these. About 1 ms of work. */
double calibration_fma(const char *kernel_set);

/* About 50 ms of work. Ends the program when there is no memory. */
struct calibration calibrate(void);
/* "calibration: fma 167.2 GFLOP/s, copy 11.2 GB/s, chain 1.09 ns, load 0.31": one line, with the load average. */
void calibration_print(void);

double seconds_now(void);
/* Sorts values (n >= 1) and returns the middle one; afterwards values[0] is the least. */
double median_of(double *values, int n);

#endif
