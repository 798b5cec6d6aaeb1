import CAvalo
import Glibc

/// Signals as a stream of numbers, in the order of delivery. A handler writes one byte to a pipe, a thread of its own
/// reads it: no thread needs a signal mask, and children inherit none.
public enum Signals {
  /// Takes over `signals` for the rest of the process's life and ignores SIGPIPE. A later call takes over the signals
  /// it names from an earlier stream.
  public static func stream(_ signals: [Int32]) throws(SystemError) -> AsyncStream<Int32> {
    avalo_ignore_sigpipe()
    let pipe = signals.withUnsafeBufferPointer { avalo_signal_pipe($0.baseAddress, Int32($0.count)) }
    guard pipe >= 0 else { throw SystemError("signal pipe") }
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    try SystemThread.start(name: "signals") {
      var byte: UInt8 = 0
      while true {
        let count = read(pipe, &byte, 1)
        if count == 1 {
          continuation.yield(Int32(byte))
        } else if count == 0 || errno != EINTR {
          continuation.finish()
          return
        }
      }
    }
    return stream
  }
}
