/* What programs that were built against libfedavg-client rely on, beyond its functions: sizes, places and numbers, one a
 * line. */
#include <stdio.h>

#include "include/fedavg/client.h"

#define SIZE(type) printf("sizeof %s %zu\n", #type, sizeof(type))
#define PLACE(type, member) printf("%s.%s %zu %zu\n", #type, #member, offsetof(type, member), sizeof(((type *)0)->member))
#define NUMBER(name) printf("%s %d\n", #name, (int)(name))

static void list_data(void) {
    SIZE(struct fedavg_data);
    PLACE(struct fedavg_data, size);
    PLACE(struct fedavg_data, feature_type);
    PLACE(struct fedavg_data, label_type);
    PLACE(struct fedavg_data, n_examples);
    PLACE(struct fedavg_data, n_features);
    PLACE(struct fedavg_data, n_labels);
    PLACE(struct fedavg_data, labels);
    PLACE(struct fedavg_data, features);
    PLACE(struct fedavg_data, read);
    PLACE(struct fedavg_data, context);
}

static void list_event(void) {
    SIZE(struct fedavg_event);
    PLACE(struct fedavg_event, size);
    PLACE(struct fedavg_event, kind);
    PLACE(struct fedavg_event, state);
    PLACE(struct fedavg_event, outcome);
    PLACE(struct fedavg_event, attempt);
    PLACE(struct fedavg_event, round);
    PLACE(struct fedavg_event, client);
    PLACE(struct fedavg_event, clients);
    PLACE(struct fedavg_event, examples);
    PLACE(struct fedavg_event, steps);
    PLACE(struct fedavg_event, bytes);
    PLACE(struct fedavg_event, loss);
    PLACE(struct fedavg_event, seconds);
    PLACE(struct fedavg_event, examples_per_second);
    PLACE(struct fedavg_event, bytes_sent);
    PLACE(struct fedavg_event, bytes_received);
    PLACE(struct fedavg_event, word);
    PLACE(struct fedavg_event, text);
}

static void list_statuses(void) {
    NUMBER(FEDAVG_OK);
    NUMBER(FEDAVG_STOPPED);
    NUMBER(FEDAVG_EFAILED);
    NUMBER(FEDAVG_ECONFIG);
    NUMBER(FEDAVG_EDATA);
    NUMBER(FEDAVG_EADDRESS);
    NUMBER(FEDAVG_EKEY);
    NUMBER(FEDAVG_EPEER);
    NUMBER(FEDAVG_EIO);
    NUMBER(FEDAVG_EINTERRUPTED);
    NUMBER(FEDAVG_ENOMEM);
    NUMBER(FEDAVG_EINVAL);
    NUMBER(FEDAVG_EBUSY);
}

static void list_numbers(void) {
    NUMBER(FEDAVG_SEED_BYTES);
    NUMBER(FEDAVG_PUBLIC_LINE_MAX);
    NUMBER(FEDAVG_U8);
    NUMBER(FEDAVG_I32);
    NUMBER(FEDAVG_U32);
    NUMBER(FEDAVG_I64);
    NUMBER(FEDAVG_F32);
    NUMBER(FEDAVG_EVENT_STATE);
    NUMBER(FEDAVG_EVENT_BEGUN);
    NUMBER(FEDAVG_EVENT_TRAINED);
    NUMBER(FEDAVG_EVENT_ADMITTED);
    NUMBER(FEDAVG_EVENT_DECLINED);
    NUMBER(FEDAVG_EVENT_REFUSED);
    NUMBER(FEDAVG_EVENT_ENDED);
    NUMBER(FEDAVG_EVENT_FINISHED);
    NUMBER(FEDAVG_STATE_AWAY);
    NUMBER(FEDAVG_STATE_GREETING);
    NUMBER(FEDAVG_STATE_READY);
    NUMBER(FEDAVG_STATE_WORKING);
    NUMBER(FEDAVG_OUTCOME_UNKNOWN);
    NUMBER(FEDAVG_OUTCOME_COMMITTED);
    NUMBER(FEDAVG_OUTCOME_ABANDONED);
    NUMBER(FEDAVG_LOG_ERROR);
    NUMBER(FEDAVG_LOG_WARN);
    NUMBER(FEDAVG_LOG_INFO);
    NUMBER(FEDAVG_LOG_DEBUG);
    NUMBER(FEDAVG_ALLOW_OPENBLAS);
}

int main(void) {
    list_data();
    list_event();
    list_statuses();
    list_numbers();
    return 0;
}
