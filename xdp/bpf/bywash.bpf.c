// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Which frames are ours: those go to the AF_XDP socket of their queue; all else passes to the kernel untouched.
//
//   owned address:  every frame to it, and ARP and neighbour discovery for it
//   shared address: TCP to a port that is ours, and ICMP errors that quote TCP from a port that is ours
//
// A frame that is ours on a queue without a socket is dropped: the kernel's TCP would answer it with a reset.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define QUEUES_MAX 256
#define ADDRESSES_MAX 1024
#define PORT_WORDS 1024
#define VLAN_TAGS_MAX 2
#define EXTENSION_HEADERS_MAX 6

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
// Stands for a packet whose transport header is not in this frame.
#define PROTOCOL_NONE 256

#define ICMP_UNREACHABLE 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_ERROR_FIRST 1
#define ICMPV6_ERROR_LAST 4
#define ICMPV6_ND_FIRST 133
#define ICMPV6_NEIGHBOR_SOLICITATION 135
#define ICMPV6_ND_LAST 137

// Same order as `Verdict` in program/counters.rs.
enum verdict {
	PASS_NOT_IP,
	PASS_NOT_OURS,
	PASS_SHARED_OTHER,
	PASS_MALFORMED,
	REDIRECT_OWNED_TCP,
	REDIRECT_OWNED_ICMP,
	REDIRECT_OWNED_ARP,
	REDIRECT_OWNED_ND,
	REDIRECT_OWNED_OTHER,
	REDIRECT_SHARED_TCP,
	REDIRECT_SHARED_ICMP_ERROR,
	DROP_NO_SOCKET,
	VERDICTS,
};

// Same values as `Kind` in program.rs; zero is an address that is not ours.
enum kind { FOREIGN, OWNED, SHARED };

struct address {
	__u8 bytes[16]; // IPv4 as ::ffff:a.b.c.d
};

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} __attribute__((packed));

struct vlan {
	__be16 tag;
	__be16 type;
} __attribute__((packed));

struct arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_hardware[6];
	__u8 sender[4];
	__u8 target_hardware[6];
	__u8 target[4];
} __attribute__((packed));

struct ipv4 {
	__u8 version_length;
	__u8 service;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__u8 source[4];
	__u8 destination[4];
} __attribute__((packed));

struct ipv6 {
	__be32 version_class_label;
	__be16 length;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
} __attribute__((packed));

struct ports {
	__be16 source;
	__be16 destination;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ADDRESSES_MAX);
	__type(key, struct address);
	__type(value, __u32);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline enum kind kind_of(const struct address *address)
{
	__u32 *kind = bpf_map_lookup_elem(&addresses, address);

	return kind ? *kind : FOREIGN;
}

static __always_inline enum kind kind_of_ipv4(const __u8 *bytes)
{
	struct address address = {};

	address.bytes[10] = 0xff;
	address.bytes[11] = 0xff;
	__builtin_memcpy(&address.bytes[12], bytes, 4);
	return kind_of(&address);
}

static __always_inline enum kind kind_of_ipv6(const struct address *bytes)
{
	struct address address;

	__builtin_memcpy(&address, bytes, sizeof(address));
	return kind_of(&address);
}

static __always_inline int is_our_port(__be16 port)
{
	__u32 number = bpf_ntohs(port);
	__u32 word = number / 64;
	__u64 *bits = bpf_map_lookup_elem(&ports, &word);

	return bits && (*bits >> (number % 64) & 1);
}

static __always_inline enum verdict classify_arp(void *data, void *end)
{
	struct arp *arp = data;

	if ((void *)(arp + 1) > end)
		return PASS_MALFORMED;
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETHERTYPE_IPV4) ||
	    arp->hardware_length != 6 || arp->protocol_length != 4)
		return PASS_NOT_OURS;
	return kind_of_ipv4(arp->target) == OWNED ? REDIRECT_OWNED_ARP : PASS_NOT_OURS;
}

static __always_inline enum verdict classify_shared_tcp(void *transport, void *end)
{
	struct ports *tcp = transport;

	if ((void *)(tcp + 1) > end)
		return PASS_MALFORMED;
	return is_our_port(tcp->destination) ? REDIRECT_SHARED_TCP : PASS_SHARED_OTHER;
}

// An ICMP error quotes the start of the packet that caused it, which we sent if its source is ours (RFC 792).
static __always_inline enum verdict classify_shared_icmp(void *transport, void *end)
{
	__u8 *type = transport;
	struct ipv4 *quoted = transport + 8;
	struct ports *tcp;

	if ((void *)(quoted + 1) > end)
		return PASS_SHARED_OTHER;
	if (*type != ICMP_UNREACHABLE && *type != ICMP_TIME_EXCEEDED && *type != ICMP_PARAMETER_PROBLEM)
		return PASS_SHARED_OTHER;
	if (quoted->protocol != PROTOCOL_TCP || (quoted->version_length & 0xf) < 5 ||
	    quoted->fragment & bpf_htons(0x1fff) || kind_of_ipv4(quoted->source) != SHARED)
		return PASS_SHARED_OTHER;
	tcp = (void *)quoted + (quoted->version_length & 0xf) * 4;
	if ((void *)(tcp + 1) > end)
		return PASS_SHARED_OTHER;
	return is_our_port(tcp->source) ? REDIRECT_SHARED_ICMP_ERROR : PASS_SHARED_OTHER;
}

// RFC 4443 section 2.4. We send no extension headers, so a quoted packet of ours has none.
static __always_inline enum verdict classify_shared_icmpv6(void *transport, void *end)
{
	__u8 *type = transport;
	struct ipv6 *quoted = transport + 8;
	struct ports *tcp = (void *)(quoted + 1);

	if ((void *)(tcp + 1) > end)
		return PASS_SHARED_OTHER;
	if (*type < ICMPV6_ERROR_FIRST || *type > ICMPV6_ERROR_LAST)
		return PASS_SHARED_OTHER;
	if (quoted->next != PROTOCOL_TCP || kind_of_ipv6(&quoted->source) != SHARED)
		return PASS_SHARED_OTHER;
	return is_our_port(tcp->source) ? REDIRECT_SHARED_ICMP_ERROR : PASS_SHARED_OTHER;
}

static __always_inline enum verdict classify_ipv4(void *data, void *end)
{
	struct ipv4 *ip = data;
	__u32 header, protocol;
	enum kind kind;
	void *transport;

	if ((void *)(ip + 1) > end)
		return PASS_MALFORMED;
	header = (ip->version_length & 0xf) * 4;
	if (ip->version_length >> 4 != 4 || header < sizeof(*ip))
		return PASS_MALFORMED;
	kind = kind_of_ipv4(ip->destination);
	if (kind == FOREIGN)
		return PASS_NOT_OURS;
	transport = data + header;
	if (transport > end)
		return PASS_MALFORMED;
	// More fragments, or an offset (RFC 791).
	protocol = ip->fragment & bpf_htons(0x3fff) ? PROTOCOL_NONE : ip->protocol;
	if (kind == OWNED) {
		if (protocol == PROTOCOL_TCP)
			return REDIRECT_OWNED_TCP;
		return protocol == PROTOCOL_ICMP ? REDIRECT_OWNED_ICMP : REDIRECT_OWNED_OTHER;
	}
	if (protocol == PROTOCOL_TCP)
		return classify_shared_tcp(transport, end);
	return protocol == PROTOCOL_ICMP ? classify_shared_icmp(transport, end) : PASS_SHARED_OTHER;
}

// Walks the extension headers from `*next` on (RFC 8200 section 4); leaves the transport's protocol in `*next` and
// returns its place, or null when the frame ends before it.
static __always_inline void *skip_extensions(void *header, void *end, __u32 *next)
{
	int i;

#pragma unroll
	for (i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		__u8 *bytes = header;

		if (*next != PROTOCOL_HOP_BY_HOP && *next != PROTOCOL_ROUTING && *next != PROTOCOL_FRAGMENT &&
		    *next != PROTOCOL_DESTINATION_OPTIONS)
			return header;
		if (header + 8 > end)
			return 0;
		if (*next == PROTOCOL_FRAGMENT) {
			// An atomic fragment (RFC 6946) is a whole packet; any other has only a part of it.
			if (bytes[2] || bytes[3] & 0xf9) {
				*next = PROTOCOL_NONE;
				return header;
			}
			header += 8;
		} else {
			header += 8 + 8 * (__u32)bytes[1];
		}
		*next = bytes[0];
	}
	// More headers than anyone sends.
	*next = PROTOCOL_NONE;
	return header;
}

static __always_inline enum verdict classify_owned_ipv6(void *transport, void *end, __u32 protocol)
{
	__u8 *type = transport;

	if (protocol == PROTOCOL_TCP)
		return REDIRECT_OWNED_TCP;
	if (protocol != PROTOCOL_ICMPV6)
		return REDIRECT_OWNED_OTHER;
	if (transport && transport + 1 <= end && *type >= ICMPV6_ND_FIRST && *type <= ICMPV6_ND_LAST)
		return REDIRECT_OWNED_ND;
	return REDIRECT_OWNED_ICMP;
}

// A solicitation for an owned address comes to its solicited-node group (RFC 4861 section 4.3).
static __always_inline int is_solicitation_for_owned(void *transport, void *end, __u32 protocol)
{
	__u8 *type = transport;
	struct address *target = transport + 8;

	if (protocol != PROTOCOL_ICMPV6 || (void *)(target + 1) > end)
		return 0;
	return *type == ICMPV6_NEIGHBOR_SOLICITATION && kind_of_ipv6(target) == OWNED;
}

static __always_inline enum verdict classify_ipv6(void *data, void *end)
{
	struct ipv6 *ip = data;
	enum kind kind;
	void *transport;
	__u32 protocol;

	if ((void *)(ip + 1) > end || *(__u8 *)data >> 4 != 6)
		return PASS_MALFORMED;
	kind = kind_of_ipv6(&ip->destination);
	if (kind == FOREIGN && ip->destination.bytes[0] != 0xff)
		return PASS_NOT_OURS;
	protocol = ip->next;
	transport = skip_extensions(ip + 1, end, &protocol);
	if (kind == OWNED)
		return classify_owned_ipv6(transport, end, protocol);
	if (!transport)
		return PASS_MALFORMED;
	if (kind == FOREIGN)
		return is_solicitation_for_owned(transport, end, protocol) ? REDIRECT_OWNED_ND : PASS_NOT_OURS;
	if (protocol == PROTOCOL_TCP)
		return classify_shared_tcp(transport, end);
	return protocol == PROTOCOL_ICMPV6 ? classify_shared_icmpv6(transport, end) : PASS_SHARED_OTHER;
}

static __always_inline enum verdict classify(void *data, void *end)
{
	struct ethernet *ethernet = data;
	void *payload = ethernet + 1;
	__be16 type;
	int i;

	if (payload > end)
		return PASS_MALFORMED;
	type = ethernet->type;
#pragma unroll
	for (i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan *vlan = payload;

		if (type != bpf_htons(ETHERTYPE_VLAN) && type != bpf_htons(ETHERTYPE_QINQ))
			break;
		payload = vlan + 1;
		if (payload > end)
			return PASS_MALFORMED;
		type = vlan->type;
	}
	if (type == bpf_htons(ETHERTYPE_IPV4))
		return classify_ipv4(payload, end);
	if (type == bpf_htons(ETHERTYPE_IPV6))
		return classify_ipv6(payload, end);
	if (type == bpf_htons(ETHERTYPE_ARP))
		return classify_arp(payload, end);
	return PASS_NOT_IP;
}

static __always_inline int act(struct xdp_md *context)
{
	__u32 verdict = classify((void *)(long)context->data, (void *)(long)context->data_end);
	int action = XDP_PASS;
	__u64 *counter;

	if (verdict >= REDIRECT_OWNED_TCP) {
		// Without a socket at this index the helper returns the action in its flags (Linux 5.3).
		action = bpf_redirect_map(&sockets, context->rx_queue_index, XDP_DROP);
		if (action == XDP_DROP)
			verdict = DROP_NO_SOCKET;
	}
	counter = bpf_map_lookup_elem(&counters, &verdict);
	if (counter)
		(*counter)++;
	return action;
}

SEC("xdp")
int bywash(struct xdp_md *context)
{
	return act(context);
}

// For an MTU whose frames need more than one page: the driver attaches only a program that says it copes.
SEC("xdp.frags")
int bywash_frags(struct xdp_md *context)
{
	return act(context);
}

char LICENSE[] SEC("license") = "MIT";
