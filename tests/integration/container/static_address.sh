#!/usr/bin/env bash
# ip= on the command line of a container's machine, where the kernel does not read it: vm2oci's init gives the card its
# address, netmask, route and name servers. In network namespaces of the test's own.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool unshare ip

# in_namespace WORDS: with two cards, card0 and card1; what the init says in `said`, what the kernel has in `addresses`
# and `routes`
in_namespace() {
    # shellcheck disable=SC2016
    unshare --map-root-user --net sh -euc '
        ip link add card0 type veth peer name peer0
        ip link add card1 type veth peer name peer1
        ip link set peer0 up && ip link set peer1 up
        "$APPLY_ADDRESS" "$1" > said
        ip -o -4 address show > addresses
        ip -4 route show > routes' sh "$1"
}

step 'all of it'
in_namespace 10.0.2.99::10.0.2.2:255.255.255.0:web:card0:off:10.0.2.3:192.0.2.53
expect_equal "$(printf 'address 10.0.2.99\nnameserver 10.0.2.3\nnameserver 192.0.2.53')" "$(cat said)" 'what is known'
expect_match 'card0 +inet 10\.0\.2\.99/24 ' "$(cat addresses)" 'the address'
expect_match '^default via 10\.0\.2\.2 dev card0' "$(cat routes)" 'the route'
expect_match 'lo +inet 127\.0\.0\.1/8' "$(cat addresses)" 'loopback'

step 'another card, a netmask by class, no gateway'
in_namespace 192.168.7.5:::::card1
expect_match 'card1 +inet 192\.168\.7\.5/24 ' "$(cat addresses)" 'the address'
if grep -q -e card0 addresses || grep -q default routes; then fail "too much: $(cat addresses routes)"; fi

step 'none'
in_namespace off
expect_equal 'address ' "$(cat said)" 'what is known'
if grep -q card addresses; then fail "there is an address: $(cat addresses)"; fi

step 'a card that has an address is left as it is'
# shellcheck disable=SC2016
unshare --map-root-user --net sh -euc '
    ip link add card0 type veth peer name peer0
    ip address add 10.9.8.7/16 dev card0 && ip link set card0 up
    "$APPLY_ADDRESS" 10.0.2.99:::255.255.255.0::card0:off > said
    ip -o -4 address show > addresses'
expect_equal 'address 10.9.8.7' "$(head -n 1 said)" 'what is known'
expect_equal 1 "$(grep -c card0 addresses)" 'how many addresses it has'

step 'a card that is not there'
in_namespace 10.0.2.99::10.0.2.2:255.255.255.0::card7:off
expect_equal 'address ' "$(cat said)" 'what is known'
