#include "formats/nbd/handshake.hpp"

#include "formats/nbd/protocol.hpp"
#include "formats/nbd/wire.hpp"

#include <array>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::string_view kAllocationContext = "base:allocation";

enum class OptionOutcome { next, transmission, disconnect };

class Negotiation {
  public:
    Negotiation(NbdChannel& channel, const NbdExport& exported) : channel_(channel), exported_(exported) {}

    std::optional<NbdAgreement> run() {
        NbdMessage greeting;
        greeting.put(nbd::kServerMagic).put(nbd::kOptionMagic);
        greeting.put(static_cast<std::uint16_t>(nbd::kFixedNewstyle | nbd::kNoZeroes));
        std::array<std::byte, 4> flags_bytes{};
        if (!channel_.write(greeting.bytes()) || !channel_.read(flags_bytes))
            return std::nullopt;
        const auto flags = load_be<std::uint32_t>(flags_bytes.data());
        if ((flags & ~std::uint32_t{nbd::kFixedNewstyle | nbd::kNoZeroes}) != 0)
            return std::nullopt;
        client_flags_ = flags;
        for (unsigned count = 0; count < kNbdMaxOptions; ++count) {
            switch (read_option()) {
            case OptionOutcome::next:
                break;
            case OptionOutcome::transmission:
                return agreement_;
            case OptionOutcome::disconnect:
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

  private:
    OptionOutcome read_option() {
        std::array<std::byte, 16> header{};
        if (!channel_.read(header))
            return OptionOutcome::disconnect;
        NbdReader reader(header);
        const auto magic = reader.take<std::uint64_t>();
        const auto number = reader.take<std::uint32_t>();
        const auto length = reader.take<std::uint32_t>();
        if (magic != nbd::kOptionMagic || length > kNbdMaxOption)
            return OptionOutcome::disconnect;
        std::vector<std::byte> data(length);
        if (!channel_.read(data))
            return OptionOutcome::disconnect;
        return answer(number, data);
    }

    OptionOutcome answer(std::uint32_t number, std::span<const std::byte> data) {
        switch (number) {
        case nbd::option::export_name:
            return export_name();
        case nbd::option::abort:
            reply(number, nbd::option_reply::ack, {});
            return OptionOutcome::disconnect;
        case nbd::option::list:
            // One export, whose name is empty.
            return then_next(reply(number, nbd::option_reply::server, NbdMessage().put(std::uint32_t{0}).bytes()) &&
                             reply(number, nbd::option_reply::ack, {}));
        case nbd::option::info:
        case nbd::option::go:
            return information(number, data);
        case nbd::option::structured_reply:
            agreement_.structured_replies = true;
            return then_next(reply(number, nbd::option_reply::ack, {}));
        case nbd::option::list_meta_context:
        case nbd::option::set_meta_context:
            return meta_context(number, data);
        default:
            return then_next(reply(number, nbd::option_reply::unsupported, {}));
        }
    }

    OptionOutcome export_name() {
        NbdMessage message;
        message.put(exported_.device->size()).put(nbd_transmission_flags(exported_));
        if ((client_flags_ & nbd::kNoZeroes) == 0)
            message.put_text(std::string(124, '\0'));
        return channel_.write(message.bytes()) ? OptionOutcome::transmission : OptionOutcome::disconnect;
    }

    OptionOutcome information(std::uint32_t number, std::span<const std::byte> data) {
        NbdReader reader(data);
        reader.take_text(reader.take<std::uint32_t>());
        const auto requests = reader.take<std::uint16_t>();
        for (unsigned i = 0; i < requests && reader.ok(); ++i)
            reader.take<std::uint16_t>();
        if (!reader.ok() || !reader.empty())
            return then_next(reply(number, nbd::option_reply::invalid, {}));
        NbdMessage size;
        size.put(nbd::info::export_size).put(exported_.device->size()).put(nbd_transmission_flags(exported_));
        NbdMessage blocks;
        blocks.put(nbd::info::block_size).put(std::uint32_t{1}).put(std::uint32_t{64 * 1024}).put(kNbdMaxTransfer);
        const bool sent = reply(number, nbd::option_reply::info, size.bytes()) &&
                          reply(number, nbd::option_reply::info, blocks.bytes()) &&
                          reply(number, nbd::option_reply::ack, {});
        if (!sent)
            return OptionOutcome::disconnect;
        return number == nbd::option::go ? OptionOutcome::transmission : OptionOutcome::next;
    }

    OptionOutcome meta_context(std::uint32_t number, std::span<const std::byte> data) {
        NbdReader reader(data);
        reader.take_text(reader.take<std::uint32_t>());
        const auto queries = reader.take<std::uint32_t>();
        // No query when listing means everything.
        bool wanted = queries == 0 && number == nbd::option::list_meta_context;
        for (std::uint32_t i = 0; i < queries && reader.ok(); ++i) {
            const std::string_view query = reader.take_text(reader.take<std::uint32_t>());
            wanted |= query == kAllocationContext || (number == nbd::option::list_meta_context && query == "base:");
        }
        if (!reader.ok() || !reader.empty() || !agreement_.structured_replies)
            return then_next(reply(number, nbd::option_reply::invalid, {}));
        if (number == nbd::option::set_meta_context)
            agreement_.allocation_context = wanted;
        NbdMessage context;
        context.put(nbd::kAllocationContextId).put_text(kAllocationContext);
        const bool sent = (!wanted || reply(number, nbd::option_reply::meta_context, context.bytes())) &&
                          reply(number, nbd::option_reply::ack, {});
        return then_next(sent);
    }

    bool reply(std::uint32_t number, std::uint32_t type, std::span<const std::byte> data) {
        NbdMessage message;
        message.put(nbd::kOptionReplyMagic).put(number).put(type).put(static_cast<std::uint32_t>(data.size()));
        message.put_text({reinterpret_cast<const char*>(data.data()), data.size()});
        return channel_.write(message.bytes());
    }

    static OptionOutcome then_next(bool sent) { return sent ? OptionOutcome::next : OptionOutcome::disconnect; }

    NbdChannel& channel_;
    const NbdExport& exported_;
    std::uint32_t client_flags_ = 0;
    NbdAgreement agreement_;
};

} // namespace

std::uint16_t nbd_transmission_flags(const NbdExport& exported) {
    // Every connection reads what any other has written (there is no cache), which is what multi-connect promises.
    unsigned flags = nbd::kHasFlags | nbd::kSendFlush | nbd::kSendDontFragment | nbd::kCanMultiConnect;
    if (!exported.write)
        flags |= nbd::kReadOnly;
    if (exported.discard)
        flags |= nbd::kSendTrim;
    return static_cast<std::uint16_t>(flags);
}

std::optional<NbdAgreement> nbd_handshake(NbdChannel& channel, const NbdExport& exported) {
    return Negotiation(channel, exported).run();
}

} // namespace vm2oci
