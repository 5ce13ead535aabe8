/* Known answers of an independent implementation, and a directory for key files. */
#ifndef FED_TESTS_UNIT_SEAL_FIXTURE_H
#define FED_TESTS_UNIT_SEAL_FIXTURE_H

#include <check.h>

#include "common/seal/keys.h"
#include "tests/unit/named_vectors.h"

void known_bytes(uint8_t *out, size_t n, const char *name);
void known_text(char out[VECTOR_MAX], const char *name);
extern char dir[64];

/* A case whose tests have a directory, each its own, and a seal that was set up. */
TCase *seal_case(const char *name);

void known_identity(struct fed_identity *out);

/* The cases of the room, a file each. */
TCase *identities_cases(void);
TCase *key_files_cases(void);
TCase *chunks_cases(void);

#endif
