/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The room directory, over the bus. */

#include "tests/unit/registry_world.h"

static int reserve(struct world *world, const struct person *person, const char *label,
		   struct proto_id *ret_room)
{
	struct proto_room_reserve body = {person->session, proto_span(label),
					  PROTO_ROOM_KIND_PUBLIC};
	const struct proto_message *answer;
	int result = ask(world, world->ann, PROTO_ROOM_RESERVE, &body, &answer);

	if (result == 0 && ret_room) {
		*ret_room = PROTO_BODY(answer, room_reserved)->room;
	}
	return result;
}

static int claim(struct world *world, const struct proto_id *room, const struct proto_id *user)
{
	struct proto_room_claim body = {*room, *user};

	return ask(world, world->bob, PROTO_ROOM_CLAIM, &body, NULL);
}

static int list(struct world *world, const struct proto_id *room, const char *label, uint64_t seq,
		enum proto_room_kind access)
{
	struct proto_room_index body = {
		.room = *room, .label = proto_span(label), .access = access, .seq = seq};

	return ask(world, world->bob, PROTO_ROOM_INDEX, &body, NULL);
}

static struct proto_id make_room(struct world *world, const struct person *person,
				 const char *label)
{
	struct proto_id room = {{0}};

	cr_assert_eq(reserve(world, person, label, &room), 0, "%s", label);
	cr_assert_eq(claim(world, &room, &person->user), 0, "%s", label);
	cr_assert_eq(list(world, &room, label, 3, PROTO_ROOM_KIND_PUBLIC), 0, "%s", label);
	return room;
}

/* The names found, each with a comma behind; `+` at the end if there are more. */
static const char *find(struct world *world, const struct person *person, const char *prefix,
			const char *after, uint64_t limit)
{
	static char text[1024];
	struct proto_rooms_find body = {person->session, proto_span(prefix), proto_span(after),
					limit};
	const struct proto_message *answer;
	const struct proto_rooms *rooms;
	size_t size = 0;

	cr_assert_eq(ask(world, world->ann, PROTO_ROOMS_FIND, &body, &answer), 0);
	rooms = PROTO_BODY(answer, rooms);
	text[0] = '\0';
	for (size_t i = 0; i < rooms->rooms.count; i++) {
		struct proto_span label = rooms->rooms.items[i].label;

		size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s,", (int)label.size,
					 label.data);
	}
	(void)snprintf(text + size, sizeof(text) - size, "%s", rooms->more ? "+" : "");
	return text;
}

static int look_up(struct world *world, struct bus_link *link, const struct person *person,
		   const char *label)
{
	struct proto_room_lookup body = {person->session, proto_span(label)};

	return ask(world, link, PROTO_ROOM_LOOKUP, &body, NULL);
}

Test(registry_rooms, need_a_roomd)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");

	cr_assert_eq(reserve(world, &ann, "talk", NULL), PROTO_E_UNAVAILABLE);
	world_free(world);
}

Test(registry_rooms, refusals)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct person ben = sign_up(world, world->ann, "ben");
	const struct {
		const char *what;
		struct proto_room_reserve body;
		int result;
	} cases[] = {
		{"blank",
		 {ann.session, PROTO_SPAN(" \t"), PROTO_ROOM_KIND_PUBLIC},
		 PROTO_E_BAD_VALUE},
		{"control",
		 {ann.session, PROTO_SPAN("a\nb"), PROTO_ROOM_KIND_PUBLIC},
		 PROTO_E_BAD_VALUE},
		{"personal",
		 {ann.session, PROTO_SPAN("a"), PROTO_ROOM_KIND_PERSONAL},
		 PROTO_E_BAD_VALUE},
		{"alone",
		 {ann.session, {0}, PROTO_ROOM_KIND_DIRECT, .with = ann.user},
		 PROTO_E_BAD_VALUE},
		{"with nobody", {ann.session, {0}, PROTO_ROOM_KIND_DIRECT}, PROTO_E_BAD_VALUE},
		{"with a name",
		 {ann.session, PROTO_SPAN("us"), PROTO_ROOM_KIND_DIRECT, .with = ben.user},
		 PROTO_E_BAD_VALUE},
		{"with a stranger",
		 {ann.session, {0}, PROTO_ROOM_KIND_DIRECT, .with = {{9}}},
		 PROTO_E_NOT_FOUND},
		{"another's",
		 {ann.session, PROTO_SPAN(" TALK "), PROTO_ROOM_KIND_PRIVATE},
		 PROTO_E_NAME_TAKEN},
	};
	struct proto_id room;

	roomd_up(world, "roomd-1", 1, 5);
	room = make_room(world, &ben, "Talk");
	cr_assert_eq(proto_id_slot(&room), 5);
	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_eq(ask(world, world->ann, PROTO_ROOM_RESERVE, &cases[i].body, NULL),
			     cases[i].result, "%s", cases[i].what);
	}
	cr_assert_eq(reserve(world, &ben, "talk", NULL), PROTO_E_NAME_TAKEN);
	room = id_of(77);
	cr_assert_eq(claim(world, &room, &ben.user), PROTO_E_NOT_FOUND);
	cr_assert_eq(list(world, &room, "x", 3, PROTO_ROOM_KIND_PUBLIC), PROTO_E_NOT_FOUND);
	world_free(world);
}

Test(registry_rooms, reservations_fade)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct person ben = sign_up(world, world->ann, "ben");
	struct proto_id first;
	struct proto_id again;
	struct proto_id second;

	roomd_up(world, "roomd-1", 1, 5);
	cr_assert_eq(reserve(world, &ann, "talk", &first), 0);
	cr_assert_eq(reserve(world, &ann, "Talk", &again), 0);
	cr_assert(proto_id_equal(&first, &again));
	cr_assert_eq(reserve(world, &ben, "talk", &second), PROTO_E_NAME_TAKEN);
	cr_assert_eq(look_up(world, world->ann, &ben, "talk"), PROTO_E_NOT_FOUND);
	cr_assert_eq(look_up(world, world->ann, &ann, "talk"), 0);
	cr_assert_eq(claim(world, &first, &ben.user), PROTO_E_FORBIDDEN);
	skeleton.later_ms = REGISTRY_RESERVATION_MS;
	cr_assert_eq(reserve(world, &ben, "talk", &second), 0);
	cr_assert_not(proto_id_equal(&first, &second));
	cr_assert_eq(claim(world, &first, &ann.user), PROTO_E_NOT_FOUND);
	cr_assert_eq(claim(world, &second, &ben.user), 0);
	cr_assert_eq(claim(world, &second, &ben.user), 0); /* its answer was lost */
	skeleton.later_ms = 2 * REGISTRY_RESERVATION_MS;
	cr_assert_eq(reserve(world, &ann, "talk", NULL), PROTO_E_NAME_TAKEN);
	world_free(world);
}

/* Several ask before the first one's name is on disk. */
Test(registry_rooms, one_of_many_gets_the_name)
{
	struct world *world = world_new();
	struct person people[8];
	struct held *held[COUNT(people)];
	size_t right = 0;
	size_t taken = 0;

	roomd_up(world, "roomd-1", 1, 5);
	for (size_t i = 0; i < COUNT(people); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%zu", i);
		people[i] = sign_up(world, world->ann, name);
	}
	for (size_t i = 0; i < COUNT(people); i++) {
		struct proto_room_reserve body = {people[i].session, PROTO_SPAN("talk"),
						  PROTO_ROOM_KIND_PUBLIC};

		held[i] = begin(world, world->ann, PROTO_ROOM_RESERVE, &body);
	}
	for (size_t i = 0; i < COUNT(people); i++) {
		int result = end(world, held[i]);

		right += result == 0;
		taken += result == PROTO_E_NAME_TAKEN;
	}
	cr_assert_eq(right, 1);
	cr_assert_eq(taken, COUNT(people) - 1);
	world_free(world);
}

Test(registry_rooms, direct_rooms_belong_to_two)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct person ben = sign_up(world, world->ann, "ben");
	struct person eve = sign_up(world, world->ann, "eve");
	struct proto_room_reserve from = {
		ann.session, {0}, PROTO_ROOM_KIND_DIRECT, .with = ben.user};
	struct proto_room_reserve back = {
		ben.session, {0}, PROTO_ROOM_KIND_DIRECT, .with = ann.user};
	const struct proto_message *answer;
	struct proto_room_claim body;
	struct proto_id room;

	roomd_up(world, "roomd-1", 1, 5);
	cr_assert_eq(ask(world, world->ann, PROTO_ROOM_RESERVE, &from, &answer), 0);
	room = PROTO_BODY(answer, room_reserved)->room;
	cr_assert_not(PROTO_BODY(answer, room_reserved)->exists);
	cr_assert_eq(claim(world, &room, &eve.user), PROTO_E_FORBIDDEN);
	body = (struct proto_room_claim){room, ben.user};
	cr_assert_eq(ask(world, world->bob, PROTO_ROOM_CLAIM, &body, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, room_claimed)->people.count, 2);
	cr_assert_eq(ask(world, world->ann, PROTO_ROOM_RESERVE, &back, &answer), 0);
	cr_assert(proto_id_equal(&PROTO_BODY(answer, room_reserved)->room, &room));
	cr_assert(PROTO_BODY(answer, room_reserved)->exists);
	cr_assert_str_eq(find(world, &ann, "", NULL, 0), "");
	world_free(world);
}

Test(registry_rooms, are_found_by_prefix_page_by_page)
{
	static const char *const labels[] = {"Beta", "alpha", "Älter", "Albatros", "alp"};
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");

	roomd_up(world, "roomd-1", 1, 5);
	for (size_t i = 0; i < COUNT(labels); i++) {
		(void)make_room(world, &ann, labels[i]);
	}
	cr_assert_str_eq(find(world, &ann, "", NULL, 0), "Albatros,alp,alpha,Beta,Älter,");
	cr_assert_str_eq(find(world, &ann, "AL", NULL, 0), "Albatros,alp,alpha,");
	cr_assert_str_eq(find(world, &ann, "al", NULL, 2), "Albatros,alp,+");
	cr_assert_str_eq(find(world, &ann, "al", "ALP", 2), "alpha,");
	cr_assert_str_eq(find(world, &ann, "al", "alpha", 2), "");
	cr_assert_str_eq(find(world, &ann, "b", "al", 2), "Beta,"); /* begins before the prefix */
	cr_assert_str_eq(find(world, &ann, "b", "z", 2), "");
	cr_assert_str_eq(find(world, &ann, "ä", NULL, 0), "Älter,");
	cr_assert_str_eq(find(world, &ann, "zz", NULL, 0), "");
	world_free(world);
}

Test(registry_rooms, follow_their_changes)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct person ben = sign_up(world, world->ann, "ben");
	struct proto_id room;
	struct proto_id other;

	roomd_up(world, "roomd-1", 1, 5);
	room = make_room(world, &ann, "talk");
	other = make_room(world, &ann, "other");
	cr_assert_eq(list(world, &room, "OTHER", 4, PROTO_ROOM_KIND_PUBLIC), PROTO_E_NAME_TAKEN);
	cr_assert_eq(list(world, &room, "", 4, PROTO_ROOM_KIND_PUBLIC), PROTO_E_BAD_VALUE);
	cr_assert_eq(list(world, &room, "chat", 4, PROTO_ROOM_KIND_PERSONAL), PROTO_E_BAD_VALUE);
	cr_assert_eq(list(world, &room, " Chat ", 4, PROTO_ROOM_KIND_PUBLIC), 0);
	cr_assert_str_eq(find(world, &ann, "", NULL, 0), "Chat,other,");
	cr_assert_eq(list(world, &room, "talk", 3, PROTO_ROOM_KIND_PUBLIC), 0); /* overtaken */
	cr_assert_str_eq(find(world, &ann, "", NULL, 0), "Chat,other,");
	cr_assert_eq(look_up(world, world->ann, &ben, "talk"), PROTO_E_NOT_FOUND);
	cr_assert_eq(look_up(world, world->ann, &ben, "CHAT"), 0);
	cr_assert_eq(list(world, &room, "Chat", 5, PROTO_ROOM_KIND_PRIVATE), 0);
	cr_assert_str_eq(find(world, &ann, "", NULL, 0), "other,");
	cr_assert_eq(look_up(world, world->ann, &ben, "chat"), PROTO_E_NOT_FOUND);
	cr_assert_eq(look_up(world, world->ann, &ann, "chat"), 0);
	cr_assert_eq(reserve(world, &ben, "talk", NULL), 0); /* the old name is free */
	cr_assert_eq(list(world, &other, "chat", 9, PROTO_ROOM_KIND_PUBLIC), PROTO_E_NAME_TAKEN);
	world_free(world);
}

/* Of equally loaded roomds each gets its turn. */
Test(registry_rooms, are_spread_over_roomds)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	size_t rooms[3] = {0};

	for (unsigned int i = 0; i < 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "roomd-%u", i);
		roomd_up(world, name, i + 1, i * 1000);
	}
	for (unsigned int i = 0; i < 9; i++) {
		char label[16];
		struct proto_id room;

		(void)snprintf(label, sizeof(label), "room%u", i);
		cr_assert_eq(reserve(world, &ann, label, &room), 0);
		rooms[proto_id_slot(&room) / 1000]++;
	}
	cr_assert_eq(rooms[0], 3);
	cr_assert_eq(rooms[1], 3);
	cr_assert_eq(rooms[2], 3);
	world_free(world);
}
