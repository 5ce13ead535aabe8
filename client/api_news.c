/* What a client tells its program. A callback of the program runs as the program does: its locale, its floating-point mode.
 */
#include <string.h>

#include "client/handle.h"

_Static_assert((int)FEDAVG_EVENT_STATE == (int)FED_NEWS_STATE && (int)FEDAVG_EVENT_BEGUN == (int)FED_NEWS_BEGUN &&
                   (int)FEDAVG_EVENT_TRAINED == (int)FED_NEWS_TRAINED &&
                   (int)FEDAVG_EVENT_ADMITTED == (int)FED_NEWS_ADMITTED &&
                   (int)FEDAVG_EVENT_DECLINED == (int)FED_NEWS_DECLINED &&
                   (int)FEDAVG_EVENT_REFUSED == (int)FED_NEWS_REFUSED && (int)FEDAVG_EVENT_ENDED == (int)FED_NEWS_ENDED &&
                   (int)FEDAVG_EVENT_FINISHED == (int)FED_NEWS_FINISHED,
               "a public event is the one inside");
_Static_assert((int)FEDAVG_STATE_AWAY == (int)FED_MOOD_AWAY && (int)FEDAVG_STATE_GREETING == (int)FED_MOOD_GREETING &&
                   (int)FEDAVG_STATE_READY == (int)FED_MOOD_READY && (int)FEDAVG_STATE_WORKING == (int)FED_MOOD_WORKING,
               "a public state is the one inside");
_Static_assert((int)FEDAVG_OUTCOME_UNKNOWN == (int)FED_OUTCOME_UNKNOWN &&
                   (int)FEDAVG_OUTCOME_COMMITTED == (int)FED_OUTCOME_COMMITTED &&
                   (int)FEDAVG_OUTCOME_ABANDONED == (int)FED_OUTCOME_ABANDONED,
               "a public outcome is the one inside");
_Static_assert((int)FEDAVG_LOG_ERROR == (int)FED_LOG_ERROR && (int)FEDAVG_LOG_WARN == (int)FED_LOG_WARN &&
                   (int)FEDAVG_LOG_INFO == (int)FED_LOG_INFO && (int)FEDAVG_LOG_DEBUG == (int)FED_LOG_DEBUG,
               "a public level is the one inside");

void fed_handle_hear(void *context, const struct fed_session_news *news) {
    struct fedavg_client *client = context;
    if (client->hear == NULL) {
        return;
    }
    const struct fedavg_event event = {.size = sizeof event,
                                       .kind = (int)news->kind,
                                       .state = (int)news->mood,
                                       .outcome = (int)news->outcome,
                                       .attempt = news->attempt,
                                       .round = news->round,
                                       .client = news->client,
                                       .clients = news->clients,
                                       .examples = news->examples,
                                       .steps = news->steps,
                                       .bytes = news->bytes,
                                       .loss = news->loss,
                                       .seconds = news->seconds,
                                       .examples_per_second = news->examples_per_second,
                                       .bytes_sent = news->bytes_sent,
                                       .bytes_received = news->bytes_received,
                                       .word = news->word,
                                       .text = news->text};
    fed_scope_leave(&client->outside);
    client->hear(client->hear_context, &event);
    fed_scope_enter(&client->outside, client->take != NULL ? &client->own_log : NULL);
}

void fed_handle_take_training(void *context, enum fed_log_level level, const char *line) {
    const struct fedavg_client *client = context;
    client->take(client->take_context, (int)level, line);
}

void fed_handle_take_own(void *context, enum fed_log_level level, const char *line) {
    struct fedavg_client *client = context;
    fed_scope_leave(&client->outside);
    client->take(client->take_context, (int)level, line);
    fed_scope_enter(&client->outside, &client->own_log);
}

int fed_handle_passphrase(void *context, struct fed_passphrase **out, const char *whose, struct fed_error *err) {
    struct fedavg_client *client = context;
    struct fed_passphrase *passphrase = NULL;
    if (client->ask == NULL) {
        return fed_error_set(err, FED_EKEY,
                             "%s: has a passphrase, and nobody was named to ask for it "
                             "(fedavg_client_set_passphrase)",
                             whose);
    }
    int rc = fed_passphrase_new(&passphrase, err);
    if (rc != FED_OK) {
        return rc;
    }
    fed_scope_leave(&client->outside);
    int answer = client->ask(client->ask_context, whose, passphrase->text, sizeof passphrase->text);
    fed_scope_enter(&client->outside, client->take != NULL ? &client->own_log : NULL);
    passphrase->n = strnlen(passphrase->text, sizeof passphrase->text - 1);
    if (answer != 0) {
        rc = fed_error_set(err, answer < 0 ? answer : FED_EKEY, "%s: no passphrase was given", whose);
    } else if (passphrase->n == 0) {
        rc = fed_error_set(err, FED_EKEY, "%s: the passphrase given is empty", whose);
    }
    if (rc != FED_OK) {
        fed_passphrase_free(passphrase);
        return rc;
    }
    *out = passphrase;
    return FED_OK;
}
