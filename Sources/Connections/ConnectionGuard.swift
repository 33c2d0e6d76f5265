// Bounds what a connection may cost: heads and bodies that do not come, answers that are not read, errors of the protocol. It
// also tells a client that waits for it to send its body.

import Access
import HTTPExchange
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// How long a connection may keep the server waiting.
struct ConnectionTimes: Sendable {
    /// From the connection to the end of the first request's head.
    var head: TimeAmount
    /// Without a byte of a body, or without an answer's bytes being taken.
    var stall: TimeAmount
    /// Between two requests.
    var idle: TimeAmount
    /// After the last answer, for the client to read it.
    let linger = TimeAmount.seconds(2)
}

/// Sent down the pipeline when a request will be answered for its body.
struct BodyIsWanted: Sendable {}

/// Watches over one connection, between the decoder and the server. It runs on the connection's event loop.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let times: ConnectionTimes
    /// Requests whose answers have not been written whole; clients may send several ahead.
    private var unanswered = 0
    /// Answers of which the last bytes have not been taken.
    private var unsent = 0
    /// Whether the last request's body is still to come.
    private var isReceiving = false
    /// Whether that request's client waits before it sends the body.
    private var clientWaits = false
    /// Whether the server is ready for more bytes.
    private var isReading = false
    /// Whether the connection ends with the present answer.
    private var isLast = false
    /// Whether nothing is waited for but that the client reads the end and closes.
    private var isLingering = false
    /// Bytes of answers that were not taken when this was looked at last.
    private var untaken = 0
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?
    private var ringsAt = NIODeadline.distantFuture

    init(_ times: ConnectionTimes) { self.times = times }

    func channelActive(context: ChannelHandlerContext) {
        wait(times.head, context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    // MARK: - Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            unanswered += 1
            isReceiving = true
            clientWaits = head.headerFields[.expect]?.lowercased() == "100-continue"
            wait(times.stall, context)
        case .body:
            clientWaits = false
            wait(times.stall, context)
        case .end:
            isReceiving = false
            if isLingering { return context.close(promise: nil) }
            wait(isIdle ? times.idle : times.stall, context)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        isReading = true
        context.read()
    }

    /// What cannot be read as HTTP gets an answer, and is the last of its connection.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is IOError || error is ChannelError { return context.fireErrorCaught(error) }
        isLast = true
        let answer =
            if case .headerOverflow? = error as? HTTPParserError {
                APIError(
                    status: .requestHeaderFieldsTooLarge, type: "invalid_request_error",
                    message: "the head of the request is too large: 16 KB and 100 fields are the most")
            } else {
                APIError.invalid("this is not HTTP/1.1")
            }
        // A request that is being answered reads the error in place of its body.
        guard unanswered == 0 else { return context.fireErrorCaught(answer) }
        var head = HTTPResponse(
            status: answer.status,
            headerFields: [
                .contentType: "application/json", .contentLength: "\(answer.body.count)", .connection: "close",
            ])
        AnswerHeaders.add(to: &head.headerFields, requestID: "req_" + randomHexadecimal(24))
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: answer.body))), promise: nil)
        isReceiving = true
        writeEnd(wrapOutboundOut(.end(nil)), context, promise: nil)
        context.flush()
    }

    /// When the server ends, the present answer is the last one.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        isLast = true
        if isIdle { context.close(promise: nil) }
    }

    // MARK: - Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            // Who is answered before he has sent his body does not send it to nobody.
            if unanswered == 1, isReceiving { isLast = true }
            if isLast, unanswered == 1 { head.headerFields[.connection] = "close" }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            unanswered -= 1
            writeEnd(data, context, promise: promise)
        }
    }

    private func writeEnd(_ end: NIOAny, _ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        unsent += 1
        let sent = promise ?? context.eventLoop.makePromise()
        sent.futureResult.assumeIsolatedUnsafeUnchecked().whenComplete { _ in
            self.unsent -= 1
            self.answerIsSent(context)
        }
        context.write(end, promise: sent)
    }

    private func answerIsSent(_ context: ChannelHandlerContext) {
        guard isIdle else { return }
        if !isLast { return wait(times.idle, context) }
        // To close while the client still sends would take the answer away from it.
        guard isReceiving else { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        linger(context)
    }

    /// Whether no answer is owed.
    private var isIdle: Bool { unanswered == 0 && unsent == 0 }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is BodyIsWanted else { return context.triggerUserOutboundEvent(event, promise: promise) }
        promise?.succeed()
        guard clientWaits, isReceiving else { return }
        clientWaits = false
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            isLast = true
            if isIdle { linger(context) }
        }
        context.close(mode: mode, promise: promise)
    }

    private func linger(_ context: ChannelHandlerContext) {
        wait(times.linger, context)
        isLingering = true
    }

    // MARK: - Time

    private func wait(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        // What still comes prolongs nothing.
        if isLingering { return }
        deadline = .now() + time
        // A timer that rings too early is set again then.
        if timer == nil || deadline < ringsAt { ring(context) }
    }

    private func ring(_ context: ChannelHandlerContext) {
        timer?.cancel()
        ringsAt = deadline
        timer = context.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(deadline: deadline) {
            self.timer = nil
            if self.deadline > .now() { self.ring(context) } else { self.timeIsOver(context) }
        }
    }

    private func timeIsOver(_ context: ChannelHandlerContext) {
        if isLingering || isIdle { return context.close(promise: nil) }
        if isReceiving, unanswered == 1 {
            // The server itself may be slow.
            guard isReading else { return wait(times.stall, context) }
            guard !isLast else { return context.close(promise: nil) }
            isLast = true
            context.fireErrorCaught(
                APIError(
                    status: .requestTimeout, type: "invalid_request_error",
                    message: "the body of the request did not come"))
            return wait(times.stall, context)
        }
        let now = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        if now > 0, now == untaken { return context.close(promise: nil) }
        untaken = now
        wait(times.stall, context)
    }
}
