/* SPDX-License-Identifier: MIT
 *
 * Addresses in text form, and the look-up of names.
 */
#include "net_fixture.h"

static const struct {
    const char *text;
    const char *printed; /* NULL: refused */
} rows[] = {
    {"127.0.0.1:7777", "127.0.0.1:7777"},
    {"0.0.0.0:0", "0.0.0.0:0"},
    {"255.255.255.255:65535", "255.255.255.255:65535"},
    {"[::1]:7777", "[::1]:7777"},
    {"[::]:1", "[::]:1"},
    {"[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"},
    {"[2001:db8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80"},
    {"[2001:0:0:1:0:0:0:1]:80", "[2001:0:0:1::1]:80"},
    {"[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80"},
    {"[1::]:80", "[1::]:80"},
    {"[1:2:3:4:5:6:7:8]:80", "[1:2:3:4:5:6:7:8]:80"},
    {"[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80"},
    {"[fe80::1%7]:80", "[fe80::1%7]:80"},
    {"", NULL},
    {":", NULL},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:-1", NULL},
    {"127.0.0.1:80x", NULL},
    {"127.0.0.1:080", NULL},
    {"127.0.0.256:80", NULL},
    {"127.0.0.01:80", NULL},
    {"127.0.1:80", NULL},
    {"127.0.0.1.2:80", NULL},
    {"localhost:80", NULL},
    {"::1:80", NULL},
    {"[127.0.0.1]:80", NULL},
    {"[::1:80", NULL},
    {"[]:80", NULL},
    {"[:]:80", NULL},
    {"[:::]:80", NULL},
    {"[1::2::3]:80", NULL},
    {"[1:2:3:4:5:6:7]:80", NULL},
    {"[1:2:3:4:5:6:7:8:9]:80", NULL},
    {"[1:2:3:4:5:6:7::8]:80", NULL},
    {"[12345::]:80", NULL},
    {"[1:]:80", NULL},
    {"[g::]:80", NULL},
    {"[::1.2.3]:80", NULL},
    {"[fe80::1%]:80", NULL},
    {"[fe80::1%eth0]:80", NULL},
};

static void text_is_read_strictly_and_printed_canonically(void)
{
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        dure_net_address address = {0};
        char text[DURE_NET_ADDRESS_TEXT_MAX];
        dure_err err = dure_net_address_parse(rows[i].text, &address);
        if (rows[i].printed == NULL) {
            DURE_CHECK_ERR(err, DURE_ERR_INVALID);
            if (err == DURE_OK) {
                printf("accepted: %s\n", rows[i].text);
            }
            continue;
        }
        DURE_CHECK_OK(err);
        DURE_CHECK_STR(dure_net_address_print(&address, text), rows[i].printed);
    }
}

static void equal_means_every_part(void)
{
    dure_net_address a;
    dure_net_address b;
    DURE_REQUIRE_OK(dure_net_address_parse("10.0.0.1:80", &a));
    b = a;
    b.ip[15] = 1; /* not part of an IPv4 address */
    DURE_CHECK(dure_net_address_equal(&a, &b));
    b.port = 81;
    DURE_CHECK(!dure_net_address_equal(&a, &b));
    b = a;
    b.ip[3] = 2;
    DURE_CHECK(!dure_net_address_equal(&a, &b));
}

static void loopback_is_recognised_in_all_its_forms(void)
{
    static const struct {
        const char *ip;
        bool is_loopback;
    } ips[] = {{"127.0.0.1", true}, {"127.9.9.9", true},        {"::1", true},
               {"10.0.0.1", false}, {"::ffff:127.0.0.1", true}, {"::2", false},
               {"::", false},       {"::ffff:10.0.0.1", false}};
    for (size_t i = 0; i < DURE_COUNT_OF(ips); i++) {
        dure_net_address address;
        DURE_REQUIRE_OK(dure_net_address_from_ip(ips[i].ip, 1, &address));
        DURE_CHECK_EQ(dure_net_address_is_loopback(&address), ips[i].is_loopback);
    }
}

typedef struct outcome {
    bool is_there;
    dure_err status;
    dure_net_address first;
    size_t count;
} outcome;

static void on_resolved(void *ctx, dure_err status, const dure_net_address *addresses, size_t count)
{
    outcome *out = ctx;
    DURE_CHECK(!out->is_there);
    out->is_there = true;
    out->status = status;
    out->count = count;
    if (count > 0) {
        out->first = addresses[0];
    }
}

static dure_err resolve(net_fixture *fixture, const char *host, uint16_t port, outcome *out)
{
    const dure_net_name name = {host, port, NULL};
    return dure_net_resolve(fixture->core, &name, on_resolved, out, NULL);
}

static void a_name_is_looked_up_later_even_where_it_is_numeric(void)
{
    net_fixture fixture;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    outcome numeric = {0};
    outcome local = {0};
    outcome unknown = {0};
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    DURE_CHECK_OK(resolve(&fixture, "10.0.0.9", 80, &numeric));
    DURE_CHECK_OK(resolve(&fixture, "localhost", 81, &local));
    DURE_CHECK_OK(resolve(&fixture, "nobody", 82, &unknown));
    DURE_CHECK_ERR(resolve(&fixture, "", 82, &unknown), DURE_ERR_INVALID);
    DURE_CHECK(!numeric.is_there);
    NET_RUN_UNTIL(&fixture, numeric.is_there && local.is_there && unknown.is_there);
    DURE_CHECK_STR(dure_net_address_print(&numeric.first, text), "10.0.0.9:80");
    DURE_CHECK_STR(dure_net_address_print(&local.first, text), "127.0.0.1:81");
    DURE_CHECK_ERR(unknown.status, DURE_ERR_NAME_NOT_FOUND);
    DURE_CHECK_EQ(unknown.count, 0);
    net_fixture_close(&fixture);
}

/* "127.1" is no address by our own strict reading, and one by getaddrinfo's, so no name server is
 * needed. */
static void the_system_is_asked_on_a_job_thread(void)
{
    net_fixture fixture;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_AUTO));
    outcome local = {0};
    DURE_CHECK_OK(resolve(&fixture, "127.1", 81, &local));
    NET_RUN_UNTIL(&fixture, local.is_there);
    DURE_CHECK_OK(local.status);
    DURE_CHECK(dure_net_address_is_loopback(&local.first));
    DURE_CHECK_EQ(local.first.port, 81);
    net_fixture_close(&fixture);
}

DURE_SUITE(net_address, DURE_TEST(text_is_read_strictly_and_printed_canonically),
           DURE_TEST(equal_means_every_part), DURE_TEST(loopback_is_recognised_in_all_its_forms),
           DURE_TEST(a_name_is_looked_up_later_even_where_it_is_numeric),
           DURE_TEST(the_system_is_asked_on_a_job_thread));
