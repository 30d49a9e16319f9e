/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One slot: two owners compete for it, crash and come back; three stores (WQ 3, AQ 2). Steps T1 to T6 of docs/adr/0006.
 *
 * A request, once sent, may arrive at any later time, any number of times, or never: that is loss, doubling and
 * reordering in one. An owner that takes no step is paused. An attempt is named by its epoch, and epoch is also the
 * content of the entries that it adds, so that an lsn with two epochs is an lsn with two different entries.
 * Left out: hash chains, lac and reads, changes of members, damaged stores.
 */
#ifndef SQ
#define SQ 2
#endif
#ifndef ACKS
#define ACKS 2
#endif
#define AQ 2
#define STORES 3
#define EPOCHS 4 /* 0 is no segment, so three attempts */
#ifndef LSNS
#define LSNS 2 /* lsn 1 alone: all states in seconds; 3 takes minutes and gigabytes */
#endif

byte reg_version, reg_epoch, reg_last; /* the record: last segment's epoch */
byte first[EPOCHS], sealed_at[EPOCHS]; /* of segments */
bool sealed[EPOCHS];
byte sealed_log[LSNS];
byte committed[LSNS]; /* the entry that was acknowledged to its sender */
byte claims[EPOCHS];

byte prev[EPOCHS], nonce[EPOCHS], sent[EPOCHS]; /* requests on their way, of an attempt */
bool copying[EPOCHS];
byte copy_to[EPOCHS];

typedef store_t {
	byte fence;
	byte fence_nonce;
	byte held[EPOCHS];   /* last lsn of a segment that it holds */
	byte acked[EPOCHS];
	bool answered[EPOCHS]; /* the SEAL of an attempt, and with what */
	byte answer[EPOCHS];
};
store_t store[STORES];

#define PASSES(s, e) (e > store[s].fence || (e == store[s].fence && nonce[e] == store[s].fence_nonce))
#ifdef BROKEN_FENCE
#define MAY_WRITE(s, e) true
#else
#define MAY_WRITE(s, e) PASSES(s, e)
#endif
#define HOLDERS(p, l) ((store[0].held[p] >= l) + (store[1].held[p] >= l) + (store[2].held[p] >= l))
#define ACKED(e, l) ((store[0].acked[e] >= l) + (store[1].acked[e] >= l) + (store[2].acked[e] >= l))
#define ANSWERS(e) (store[0].answered[e] + store[1].answered[e] + store[2].answered[e])

/* Requests arrive at store s, in any order. */
proctype deliver(byte s)
{
	byte e;
end:	do
	:: atomic { if
		:: e = 1
		:: e = 2
		:: e = 3
		fi;
		if
		:: claims[e] > 0 && prev[e] != 0 && !store[s].answered[e] && PASSES(s, e) -> /* SEAL */
			store[s].fence = e;
			store[s].fence_nonce = nonce[e];
			store[s].answered[e] = true;
			store[s].answer[e] = store[s].held[prev[e]]
		:: copying[e] && store[s].held[prev[e]] < copy_to[e] && MAY_WRITE(s, e) -> /* COPY */
			store[s].held[prev[e]] = copy_to[e]
		:: store[s].held[e] < sent[e] && MAY_WRITE(s, e) -> /* APPEND: only the next lsn */
			store[s].held[e] = (store[s].held[e] < first[e] -> first[e] : store[s].held[e] + 1);
			store[s].acked[e] = store[s].held[e]
		:: else -> skip
		fi;
		e = 0 }
	od
}

proctype owner(byte me)
{
	byte e, version, l, i, done;
again:
	atomic {
		e = 0; version = 0; l = 0; i = 0; done = 0; /* T1; also what an owner does that crashed: all it knew is gone */
		if
		:: reg_epoch + 1 >= EPOCHS -> goto end_over
		:: else
		fi;
#ifdef BROKEN_CLAIM
	}
	e = reg_epoch + 1;
	atomic {
#else
		e = reg_epoch + 1;
#endif
		reg_epoch = e;
		reg_version++;
		version = reg_version;
		claims[e]++;
		assert(claims[e] == 1); /* epochs_unique */
		prev[e] = reg_last;
		nonce[e] = me + 1
	}
	if
	:: goto again /* crash */
	:: atomic { prev[e] == 0 || ANSWERS(e) >= SQ -> /* T2, T3 */
		l = (prev[e] == 0 -> 0 : first[prev[e]] - 1);
		i = 0;
		do
		:: i < STORES ->
			if
			:: store[i].answered[e] && store[i].answer[e] > l -> l = store[i].answer[e]
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		copy_to[e] = l;
		copying[e] = (prev[e] != 0) }
	fi;
	if
	:: goto again
#ifdef BROKEN_COPY
	:: true
#else
	:: prev[e] == 0 || l < first[prev[e]] || HOLDERS(prev[e], l) >= AQ /* T4 */
#endif
	fi;
	atomic { /* T5 */
#ifndef BROKEN_SWAP
		if
		:: reg_version != version -> goto again
		:: else
		fi;
#endif
		reg_version++;
		if
		:: prev[e] != 0 ->
			sealed[prev[e]] = true;
			sealed_at[prev[e]] = l;
			i = first[prev[e]];
			do
			:: i <= l -> sealed_log[i] = prev[e];
				assert(HOLDERS(prev[e], i) >= AQ); /* sealed_is_durable */
				i++
			:: else -> break
			od
		:: else
		fi;
		i = 1;
		do
		:: i < LSNS ->
			assert(committed[i] == 0 || (i <= l && sealed_log[i] == committed[i])); /* acknowledged_is_sealed */
			i++
		:: else -> break
		od;
		i = 0;
		reg_last = e;
		first[e] = l + 1;
		done = l;
		i = 0;
		version = 0
	}
	do /* T6: serves */
	:: sent[e] < LSNS - 1 && l + 1 < LSNS -> atomic { l++; sent[e] = l }
	:: atomic { done < l && ACKED(e, done + 1) >= ACKS -> done++;
		assert(HOLDERS(e, done) >= AQ); /* acknowledged_is_durable */
		assert(committed[done] == 0 || committed[done] == e); /* one_entry_an_lsn */
		assert(!sealed[e] || done <= sealed_at[e]); /* fenced_never_commits */
		committed[done] = e }
	:: goto again
	od;
end_over:
	do
	:: false
	od
}

init { atomic { run deliver(0); run deliver(1); run deliver(2); run owner(0); run owner(1) } }
