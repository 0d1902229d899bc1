#include "formats/nbd/session.hpp"

#include "formats/base/error.hpp"
#include "formats/nbd/handshake.hpp"
#include "formats/nbd/protocol.hpp"
#include "formats/nbd/wire.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace vm2oci {
namespace {

// Extents in one BLOCK_STATUS answer; a client asks again for the rest.
constexpr std::size_t kMaxExtents = 1024;

struct Request {
    std::uint16_t flags = 0;
    std::uint16_t type = 0;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
};

class Transmission {
  public:
    Transmission(NbdChannel& channel, const NbdExport& exported, const NbdAgreement& agreement)
        : channel_(channel), exported_(exported), agreement_(agreement) {}

    void run() {
        std::array<std::byte, 28> header{};
        while (channel_.read(header)) {
            NbdReader reader(header);
            if (reader.take<std::uint32_t>() != nbd::kRequestMagic)
                return;
            Request request;
            request.flags = reader.take<std::uint16_t>();
            request.type = reader.take<std::uint16_t>();
            request.cookie = reader.take<std::uint64_t>();
            request.offset = reader.take<std::uint64_t>();
            request.length = reader.take<std::uint32_t>();
            if (!answer(request))
                return;
        }
    }

  private:
    // False: the connection is over.
    bool answer(const Request& request) {
        switch (request.type) {
        case nbd::command::read:
            return read(request);
        case nbd::command::write:
            return write(request);
        case nbd::command::trim:
            return trim(request);
        case nbd::command::disconnect:
            return false;
        case nbd::command::flush:
            return succeed(request);
        case nbd::command::block_status:
            return block_status(request);
        default:
            return refuse(request, nbd::error_number::unsupported);
        }
    }

    bool in_range(const Request& request) const {
        const std::uint64_t size = exported_.device->size();
        return request.offset <= size && request.length <= size - request.offset;
    }

    bool read(const Request& request) {
        if (!in_range(request) || request.length == 0 || request.length > kNbdMaxTransfer)
            return refuse(request, nbd::error_number::invalid);
        buffer_.resize(request.length);
        try {
            // A hole costs twenty bytes on the wire instead of its length.
            const bool may_fragment = agreement_.structured_replies && (request.flags & nbd::kCommandDontFragment) == 0;
            if (may_fragment) {
                const Extent extent = exported_.device->extent_at(request.offset);
                if (extent.kind != ExtentKind::data && extent.length >= request.length)
                    return send_hole(request);
            }
            exported_.device->read_at(request.offset, buffer_);
        } catch (const Error& error) {
            return report(request, error);
        }
        if (!agreement_.structured_replies)
            return simple_reply(request, 0) && channel_.write(buffer_);
        return chunk_header(request, nbd::chunk::offset_data, 8 + request.length) &&
               channel_.write(NbdMessage().put(request.offset).bytes()) && channel_.write(buffer_);
    }

    bool write(const Request& request) {
        if (request.length > kNbdMaxTransfer)
            return false; // the payload follows: there is no way to refuse it politely
        buffer_.resize(request.length);
        if (!channel_.read(buffer_))
            return false;
        if (!exported_.write)
            return refuse(request, nbd::error_number::permission);
        if (!in_range(request))
            return refuse(request, nbd::error_number::invalid);
        try {
            exported_.write(request.offset, buffer_);
        } catch (const Error& error) {
            return report(request, error);
        }
        return succeed(request);
    }

    bool trim(const Request& request) {
        if (!exported_.discard)
            return refuse(request, nbd::error_number::unsupported);
        if (!in_range(request))
            return refuse(request, nbd::error_number::invalid);
        try {
            exported_.discard(request.offset, request.length);
        } catch (const Error& error) {
            return report(request, error);
        }
        return succeed(request);
    }

    bool block_status(const Request& request) {
        if (!agreement_.allocation_context || !in_range(request) || request.length == 0)
            return refuse(request, nbd::error_number::invalid);
        NbdMessage payload;
        payload.put(nbd::kAllocationContextId);
        const std::size_t limit = (request.flags & nbd::kCommandRequestOne) != 0 ? 1 : kMaxExtents;
        try {
            std::uint64_t offset = request.offset;
            std::uint64_t rest = request.length;
            for (std::size_t count = 0; rest > 0 && count < limit; ++count) {
                const Extent extent = exported_.device->extent_at(offset);
                const std::uint64_t length = std::min(extent.length, rest);
                payload.put(static_cast<std::uint32_t>(length)).put(allocation_state(extent.kind));
                offset += length;
                rest -= length;
            }
        } catch (const Error& error) {
            return report(request, error);
        }
        return chunk_header(request, nbd::chunk::block_status, static_cast<std::uint32_t>(payload.bytes().size())) &&
               channel_.write(payload.bytes());
    }

    static std::uint32_t allocation_state(ExtentKind kind) {
        switch (kind) {
        case ExtentKind::data:
            return 0;
        case ExtentKind::zero:
            return nbd::kStateZero;
        case ExtentKind::unallocated:
            return nbd::kStateHole | nbd::kStateZero;
        }
        return 0;
    }

    bool send_hole(const Request& request) {
        NbdMessage payload;
        payload.put(request.offset).put(request.length);
        return chunk_header(request, nbd::chunk::offset_hole, static_cast<std::uint32_t>(payload.bytes().size())) &&
               channel_.write(payload.bytes());
    }

    bool succeed(const Request& request) {
        return agreement_.structured_replies ? chunk_header(request, nbd::chunk::none, 0) : simple_reply(request, 0);
    }

    bool report(const Request& request, const Error& error) {
        if (exported_.on_error)
            exported_.on_error(error.what());
        return refuse(request, nbd::error_number::io);
    }

    bool refuse(const Request& request, std::uint32_t error) {
        if (!agreement_.structured_replies)
            return simple_reply(request, error);
        NbdMessage payload;
        payload.put(error).put(std::uint16_t{0});
        return chunk_header(request, nbd::chunk::error, static_cast<std::uint32_t>(payload.bytes().size())) &&
               channel_.write(payload.bytes());
    }

    bool simple_reply(const Request& request, std::uint32_t error) {
        return channel_.write(NbdMessage().put(nbd::kSimpleReplyMagic).put(error).put(request.cookie).bytes());
    }

    // Each answer is one chunk, so each says "done".
    bool chunk_header(const Request& request, std::uint16_t type, std::uint32_t length) {
        NbdMessage message;
        message.put(nbd::kStructuredReplyMagic).put(nbd::chunk::done_flag).put(type).put(request.cookie).put(length);
        return channel_.write(message.bytes());
    }

    NbdChannel& channel_;
    const NbdExport& exported_;
    const NbdAgreement agreement_;
    std::vector<std::byte> buffer_;
};

} // namespace

void serve_nbd(NbdChannel& channel, const NbdExport& exported) {
    if (const auto agreement = nbd_handshake(channel, exported))
        Transmission(channel, exported, *agreement).run();
}

} // namespace vm2oci
