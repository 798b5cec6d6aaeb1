/// What an operation answers, or an error when it takes too long or the task is cancelled. The operation is cancelled then;
/// one that does not heed that ends some time, and what comes of it is nobody's.
///
/// - `due`: a time of the clock's `now`.
func inTime<Value: Sendable>(
  _ due: Int64, _ clock: any ClientClock, orThrow late: ClientError,
  _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  // The first that is put into it counts.
  let (answers, first) = AsyncThrowingStream.makeStream(of: Value.self, bufferingPolicy: .bufferingOldest(1))
  let work = Task {
    do {
      first.yield(try await operation())
    } catch {
      first.finish(throwing: error)
    }
  }
  let timer = Task {
    guard (try? await clock.sleep(until: due)) != nil else { return }
    first.finish(throwing: late)
  }
  defer {
    work.cancel()
    timer.cancel()
  }
  for try await answer in answers { return answer }
  // A stream ends early for a task that is cancelled.
  throw CancellationError()
}
