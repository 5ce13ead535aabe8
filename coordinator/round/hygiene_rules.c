#include "coordinator/round/hygiene_rules.h"

#include <math.h>

#include "coordinator/round/round.h"

/* What the first round is expected to count, where the split is known: as many clients as are wanted, of the mean size. */
static uint64_t first_weight_cap(const struct fed_task_terms *terms, const struct fed_partition *partition) {
    if (terms->max_share == 0 || partition == NULL) {
        return 0;
    }
    uint32_t n = partition->n_clients;
    double examples = 0;
    for (uint32_t k = 0; k < n; k++) {
        examples += (double)fed_partition_size(partition, k);
    }
    double wanted = (double)fed_round_cohort_size(terms->fraction, n);
    double cap = floor(terms->max_share * (examples * wanted / n));
    return cap < 1 ? 1 : (uint64_t)cap;
}

struct fed_hygiene_config fed_hygiene_rules(const struct fed_task_terms *terms, const struct fed_partition *partition,
                                            const struct fed_hygiene *hygiene) {
    return (struct fed_hygiene_config){.norm_factor = hygiene->norm_factor,
                                       .norm_rounds = hygiene->norm_rounds,
                                       .clip_norm = terms->clip.norm,
                                       .clip_quantile = terms->clip.quantile,
                                       .clip_rate = terms->clip.rate,
                                       .max_share = terms->max_share,
                                       .first_weight_cap = first_weight_cap(terms, partition)};
}
