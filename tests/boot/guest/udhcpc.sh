#!/bin/busybox sh
# shellcheck shell=dash
# What udhcpc calls: takes the address.
# shellcheck disable=SC2154  # interface, ip and mask come from udhcpc
case $1 in
    bound | renew) ip addr add "$ip/${mask:-24}" dev "$interface" ;;
    deconfig) ip link set "$interface" up ;;
esac
