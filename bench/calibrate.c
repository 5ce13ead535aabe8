/* The calibration line alone, for benchmarks that are scripts. Usage: bench_calibrate. */
#include "bench/calibration.h"

int main(void) {
    calibration_print();
    return 0;
}
