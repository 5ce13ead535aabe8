/* FED_EVERY_ISA before a function: its loops are compiled for three instruction sets and the processor's is chosen at start.
 * Only for loops that give the same bits on all of them. Sanitizers do not bear the ifuncs that this takes, and clang 14
 * does not know the names: there the function is compiled once. */
#ifndef FED_COMMON_NUMERIC_EVERY_ISA_H
#define FED_COMMON_NUMERIC_EVERY_ISA_H

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                   \
    !defined(__SANITIZE_THREAD__)
#define FED_EVERY_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FED_EVERY_ISA
#endif

#endif
