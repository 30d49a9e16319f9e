/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The item shows emojis in the order of first use, with the number of people, and the first of
 * these by name. Past PROTO_REACTION_USERS_MAX people are counted alone.
 */

#include "storaged/reaction.h"

static size_t find_emoji(const struct proto_item *item, struct proto_span emoji)
{
	size_t i = 0;

	while (i < item->reactions.count &&
	       !proto_span_equal(item->reactions.items[i].emoji, emoji)) {
		i++;
	}
	return i;
}

/* Lists of a decoded item are not ours to write. */
static void copy_reactions(struct proto_item *item, struct reaction_room *room)
{
	if (item->reactions.count > 0) {
		memcpy(room->reactions, item->reactions.items,
		       item->reactions.count * sizeof(room->reactions[0]));
	}
	item->reactions.items = room->reactions;
}

static void copy_users(struct proto_reaction *reaction, struct reaction_room *room)
{
	if (reaction->users.count > 0) {
		memcpy(room->users, reaction->users.items,
		       reaction->users.count * sizeof(room->users[0]));
	}
	reaction->users.items = room->users;
}

bool reaction_add(struct proto_item *item, struct proto_span emoji, const struct proto_id *user,
		  struct reaction_room *room)
{
	size_t i = find_emoji(item, emoji);
	struct proto_reaction *reaction = &room->reactions[i];

	if (i == PROTO_REACTIONS_MAX) {
		return false;
	}
	copy_reactions(item, room);
	if (i == item->reactions.count) {
		item->reactions.count++;
		*reaction = (struct proto_reaction){.emoji = emoji};
	}
	reaction->count++;
	if (reaction->users.count < PROTO_REACTION_USERS_MAX) {
		copy_users(reaction, room);
		room->users[reaction->users.count++].user = *user;
	}
	return true;
}

static void remove_user(struct proto_reaction *reaction, const struct proto_id *user)
{
	size_t kept = 0;

	for (size_t i = 0; i < reaction->users.count; i++) {
		if (!proto_id_equal(&reaction->users.items[i].user, user)) {
			reaction->users.items[kept++] = reaction->users.items[i];
		}
	}
	reaction->users.count = kept;
}

bool reaction_remove(struct proto_item *item, struct proto_span emoji, const struct proto_id *user,
		     struct reaction_room *room)
{
	size_t i = find_emoji(item, emoji);
	struct proto_reaction *reaction = &room->reactions[i];

	if (i == item->reactions.count) {
		return false;
	}
	copy_reactions(item, room);
	if (--reaction->count > 0) {
		copy_users(reaction, room);
		remove_user(reaction, user);
		return true;
	}
	item->reactions.count--;
	memmove(reaction, reaction + 1, (item->reactions.count - i) * sizeof(*reaction));
	return true;
}
