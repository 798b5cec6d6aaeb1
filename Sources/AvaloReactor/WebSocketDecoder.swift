import Glibc

/// Takes a client's byte stream apart (RFC 6455 §5): unmasks in place, joins fragments, checks UTF-8 as it comes, and
/// refuses what a client must not send. Pure: no I/O, no clock. How the stream is cut into reads makes no difference.
///
/// One step at a time, so that the caller can stop between two of them:
///
///     while true {
///       switch decoder.next(&input) {
///       case .needMore: return
///       case .text(let payload): …
///
/// A connection at rest needs no decoder: one for which `isAtRest` holds can be thrown away and made anew.
public struct WebSocketDecoder: ~Copyable {
  /// What the next bytes of the stream were. A payload lies in the input or in the decoder, and is valid until the next
  /// step. After `.close` and `.failure` there is nothing more to ask for.
  public enum Step {
    /// The input is used up.
    case needMore
    /// A whole message.
    case text(UnsafeRawBufferPointer)
    /// To be answered with a pong of the same payload.
    case ping(UnsafeRawBufferPointer)
    case pong
    /// The peer's code, if it gave one: it may be sent back as it is.
    case close(UInt16?)
    /// The peer broke the protocol; the code says how.
    case failure(UInt16)
  }

  private let messageBytesMax: Int

  // The header that is being collected, when a read ended inside it.
  private var header: (UInt64, UInt64) = (0, 0)
  private var headerCount = 0

  // The frame whose payload is being read.
  private var frame = Frame()
  private var inFrame = false

  // The message so far, with the control frame in between behind it; what the last step showed goes with the next.
  private var message = ByteQueue()
  private var messageIsOpen = false
  private var keptAfterStep: Int?
  private var text = UTF8Validator()

  public init(messageBytesMax: Int) {
    self.messageBytesMax = messageBytesMax
  }

  /// Nothing is half-read.
  public var isAtRest: Bool { headerCount == 0 && !inFrame && !messageIsOpen }

  /// The next step of the stream, of which `input` is the next part; what the step used is taken off its front.
  public mutating func next(_ input: inout UnsafeMutableRawBufferPointer) -> Step {
    if let kept = keptAfterStep {
      message.truncate(to: kept)
      keptAfterStep = nil
    }
    while true {
      if !inFrame {
        switch readHeader(&input) {
        case .incomplete: return .needMore
        case .refused(let code): return .failure(code)
        case .complete: inFrame = true
        }
      }
      if let step = frame.opcode.isControl ? readControl(&input) : readData(&input) { return step }
    }
  }

  // MARK: Payloads

  /// `nil` when the frame is done and the message is not.
  private mutating func readData(_ input: inout UnsafeMutableRawBufferPointer) -> Step? {
    let wholeMessageIsHere = input.count >= frame.remaining && frame.isFinal && !messageIsOpen
    if frame.isStarting {
      frame.isStarting = false
      if frame.opcode == .text { text = UTF8Validator() }
      if !wholeMessageIsHere { messageIsOpen = true }
    }
    let part = unmaskNext(&input)
    guard text.consume(part) else { return .failure(CloseCode.notUTF8) }
    if frame.remaining > 0 {
      message.append(part)
      return .needMore
    }
    inFrame = false
    guard frame.isFinal else {
      message.append(part)
      return nil
    }
    guard text.isComplete else { return .failure(CloseCode.notUTF8) }
    if wholeMessageIsHere { return .text(part) }
    message.append(part)
    messageIsOpen = false
    keptAfterStep = 0
    return .text(message.bytes)
  }

  private mutating func readControl(_ input: inout UnsafeMutableRawBufferPointer) -> Step? {
    let wholeFrameIsHere = frame.isStarting && input.count >= frame.remaining
    let part: UnsafeRawBufferPointer
    if wholeFrameIsHere {
      part = unmaskNext(&input)
    } else {
      // Behind the message's bytes: no data can come before this frame's end.
      frame.isStarting = false
      message.append(unmaskNext(&input))
      if frame.remaining > 0 { return .needMore }
      keptAfterStep = message.count - frame.length
      part = UnsafeRawBufferPointer(rebasing: message.bytes.suffix(frame.length))
    }
    inFrame = false
    switch frame.opcode {
    case .ping: return .ping(part)
    case .pong: return .pong
    default: return WebSocketDecoder.close(part)
    }
  }

  /// RFC 6455 §5.5.1 and §7.4: empty, or a code the peer may use and a reason in UTF-8.
  private static func close(_ payload: UnsafeRawBufferPointer) -> Step {
    if payload.isEmpty { return .close(nil) }
    guard payload.count >= 2 else { return .failure(CloseCode.protocolError) }
    let code = UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self))
    guard CloseCode.isAllowedFromPeer(code) else { return .failure(CloseCode.protocolError) }
    let reason = UnsafeRawBufferPointer(rebasing: payload.dropFirst(2))
    return UTF8Validator.isValid(reason) ? .close(code) : .failure(CloseCode.notUTF8)
  }

  /// As much of the frame's payload as is there, unmasked in place and taken off the input.
  private mutating func unmaskNext(_ input: inout UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
    let count = min(frame.remaining, input.count)
    guard count > 0, let start = input.baseAddress else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    let mask = frame.mask
    let wide = UInt64(mask) | UInt64(mask) << 32
    var at = 0
    while at &+ 8 <= count {
      let word = start.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ wide
      start.storeBytes(of: word, toByteOffset: at, as: UInt64.self)
      at &+= 8
    }
    while at < count {
      let key = UInt8(truncatingIfNeeded: mask >> UInt32((at & 3) * 8))
      start.storeBytes(of: start.load(fromByteOffset: at, as: UInt8.self) ^ key, toByteOffset: at, as: UInt8.self)
      at &+= 1
    }
    let turn = UInt32((count & 3) * 8)  // the payload's next byte meets the mask's next byte
    if turn > 0 { frame.mask = mask >> turn | mask << (32 - turn) }
    frame.remaining -= count
    input = UnsafeMutableRawBufferPointer(start: start + count, count: input.count - count)
    return UnsafeRawBufferPointer(start: start, count: count)
  }

  // MARK: Headers

  private struct Frame {
    var opcode = WebSocketOpcode.continuation
    var isFinal = false
    var isStarting = false
    /// As it lies in memory: the first byte of the key is the lowest (little-endian machines only, as all of ours).
    var mask: UInt32 = 0
    var length = 0
    var remaining = 0
  }

  private enum Header {
    case incomplete
    case refused(UInt16)
    case complete(bytes: Int)
  }

  private mutating func readHeader(_ input: inout UnsafeMutableRawBufferPointer) -> Header {
    if headerCount == 0 {
      let parsed = parseHeader(UnsafeRawBufferPointer(input))
      if case .complete(let bytes) = parsed {
        input = UnsafeMutableRawBufferPointer(rebasing: input.dropFirst(bytes))
        return parsed
      }
      if case .refused = parsed { return parsed }
    }
    // A byte at a time until the header is whole; at most 14.
    var collected = header
    while let byte = input.first {
      input = UnsafeMutableRawBufferPointer(rebasing: input.dropFirst(1))
      withUnsafeMutableBytes(of: &collected) { $0[headerCount] = byte }
      headerCount += 1
      let count = headerCount
      let parsed = withUnsafeBytes(of: collected) { parseHeader(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
      guard case .incomplete = parsed else {
        headerCount = 0
        return parsed
      }
    }
    header = collected
    return .incomplete
  }

  /// Refuses as soon as a byte shows the breach; fills `frame` when the header is whole.
  private mutating func parseHeader(_ bytes: UnsafeRawBufferPointer) -> Header {
    guard bytes.count >= 1 else { return .incomplete }
    let isFinal = bytes[0] & 0x80 != 0
    guard bytes[0] & 0x70 == 0, let opcode = WebSocketOpcode(rawValue: bytes[0] & 0x0F) else {
      return .refused(CloseCode.protocolError)  // a reserved bit or opcode
    }
    switch opcode {
    case .continuation: if !messageIsOpen { return .refused(CloseCode.protocolError) }
    case .text: if messageIsOpen { return .refused(CloseCode.protocolError) }
    case .binary: return .refused(messageIsOpen ? CloseCode.protocolError : CloseCode.unsupportedData)
    case .close, .ping, .pong: if !isFinal { return .refused(CloseCode.protocolError) }
    }
    guard bytes.count >= 2 else { return .incomplete }
    let short = Int(bytes[1] & 0x7F)
    guard bytes[1] & 0x80 != 0, !opcode.isControl || short <= Limits.controlPayloadBytesMax else {
      return .refused(CloseCode.protocolError)  // not masked, or a long control frame
    }
    let extra = short == 126 ? 2 : short == 127 ? 8 : 0
    guard bytes.count >= 2 + extra else { return .incomplete }
    let length: UInt64 =
      switch extra {
      case 2: UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
      case 8: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
      default: UInt64(short)
      }
    guard length >> 63 == 0 else { return .refused(CloseCode.protocolError) }  // §5.2: its top bit must be 0
    let held = opcode == .continuation ? message.count : 0
    guard opcode.isControl || length <= UInt64(max(0, messageBytesMax - held)) else {
      return .refused(CloseCode.tooLarge)
    }
    guard bytes.count >= 6 + extra else { return .incomplete }
    let mask = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 + extra, as: UInt32.self))
    frame = Frame(
      opcode: opcode, isFinal: isFinal, isStarting: true, mask: mask, length: Int(length), remaining: Int(length))
    return .complete(bytes: 6 + extra)
  }
}
