// What of a batch was never claimed, in pieces. Jobs are in the order of their ranks, which brings alike prompts together; a daemon
// goes through one piece to its end, so that each group of alike prompts is one daemon's.

import PostgresClient
import Runtime
import StoreContract

/// The place of a job in the order of claims.
struct ClaimPlace: Comparable {
    let rank: Int64
    let line: Int64

    static let first = ClaimPlace(rank: .min, line: 0)
    static let last = ClaimPlace(rank: .max, line: .max)

    /// Behind all jobs of a rank.
    static func end(ofRank rank: Int64) -> ClaimPlace { ClaimPlace(rank: rank, line: .max) }

    static func < (left: ClaimPlace, right: ClaimPlace) -> Bool { (left.rank, left.line) < (right.rank, right.line) }
}

/// The jobs of a batch behind `next`, up to `end`. The batch's counters are locked while it is used.
struct BatchSegment {
    let id: Int64
    /// The last job that was claimed.
    let next: ClaimPlace
    /// The last job that belongs to it.
    let end: ClaimPlace

    /// Five columns from `column` on; nil if they are NULL.
    init?(_ row: PostgresRow, from column: Int32) {
        guard !row.isNull(column) else { return nil }
        id = row.int64(column)
        next = ClaimPlace(rank: row.int64(column + 1), line: row.int64(column + 2))
        end = ClaimPlace(rank: row.int64(column + 3), line: row.int64(column + 4))
    }

    static let columns = "s.id, s.next_rank, s.next_line, s.end_rank, s.end_line"
}

extension PostgresConnection {
    /// The batch behind a place as one piece, which is nobody's yet.
    mutating func insertSegment(of batch: BatchID, from next: ClaimPlace = .first) throws {
        try runLater(
            """
            INSERT INTO segments (batch_id, next_rank, next_line, end_rank, end_line) VALUES ($1, $2, $3, $4, $5)
            """, batch, next.rank, next.line, ClaimPlace.last.rank, ClaimPlace.last.line)
    }

    /// Notes how far claims have come.
    mutating func advance(_ segment: BatchSegment, to place: ClaimPlace) throws {
        try runLater(
            "UPDATE segments SET next_rank = $2, next_line = $3 WHERE id = $1", segment.id, place.rank, place.line)
    }

    mutating func delete(_ segment: BatchSegment) throws {
        try runLater("DELETE FROM segments WHERE id = $1", segment.id)
    }

    /// Another piece for a life that has none, or has come to the end of `exhausted`: one that is nobody's, else the later part of
    /// another daemon's; nil if nothing is left.
    mutating func takeSegment(of batch: BatchID, for life: Incarnation, after exhausted: BatchSegment?) throws
        -> BatchSegment?
    {
        if let exhausted { try delete(exhausted) }
        if let free = try takeFreeSegment(of: batch, for: life) { return free }
        // Of those that others go through, the largest.
        let segments = try rows("SELECT \(BatchSegment.columns) FROM segments s WHERE batch_id = $1 ORDER BY id", batch)
        {
            BatchSegment($0, from: 0)!
        }
        var largest: (segment: BatchSegment, jobs: Int)?
        for segment in segments {
            let jobs = try countedJobs(of: segment, in: batch)
            if jobs > largest?.jobs ?? 0 { largest = (segment, jobs) }
        }
        guard let (segment, jobs) = largest else { return nil }
        return try split(segment, of: batch, jobs: jobs, for: life)
    }

    private mutating func takeFreeSegment(of batch: BatchID, for life: Incarnation) throws -> BatchSegment? {
        try row(
            """
            UPDATE segments s SET incarnation = $2 WHERE id = (
                SELECT id FROM segments f WHERE f.batch_id = $1 AND NOT EXISTS (
                    SELECT 1 FROM daemons d WHERE d.incarnation = f.incarnation AND NOT d.draining
                      AND d.stopped_ms IS NULL AND d.declared_dead_ms IS NULL)
                ORDER BY id LIMIT 1)
            RETURNING \(BatchSegment.columns)
            """, batch, life
        ) { BatchSegment($0, from: 0) } ?? nil
    }

    /// Jobs that are looked at when a piece is divided: its owner keeps at most half as many, and comes again.
    private static let lookAhead = 8192

    /// How many jobs are left, up to `lookAhead`.
    private mutating func countedJobs(of segment: BatchSegment, in batch: BatchID) throws -> Int {
        Int(
            try number(
                """
                SELECT count(*) FROM (
                    SELECT 1 FROM jobs WHERE batch_id = $1 AND \(inSegment) LIMIT $6) jobs
                """, batch, segment.next.rank, segment.next.line, segment.end.rank, segment.end.line, Self.lookAhead))
    }

    /// Divides a piece where the rank changes, if it does; its owner keeps the first part. A single job goes as a whole.
    private mutating func split(
        _ segment: BatchSegment, of batch: BatchID, jobs: Int, for life: Incarnation
    ) throws -> BatchSegment? {
        guard jobs > 1 else {
            return try row(
                "UPDATE segments s SET incarnation = $2 WHERE id = $1 RETURNING \(BatchSegment.columns)", segment.id,
                life
            ) { BatchSegment($0, from: 0) } ?? nil
        }
        let boundary = try boundary(of: segment, in: batch, after: jobs / 2)
        try runLater(
            "UPDATE segments SET end_rank = $2, end_line = $3 WHERE id = $1", segment.id, boundary.rank, boundary.line)
        return try row(
            """
            INSERT INTO segments AS s (batch_id, incarnation, next_rank, next_line, end_rank, end_line)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING \(BatchSegment.columns)
            """, batch, life, boundary.rank, boundary.line, segment.end.rank, segment.end.line
        ) { BatchSegment($0, from: 0) } ?? nil
    }

    /// The last place of the first part, of about `kept` jobs.
    private mutating func boundary(of segment: BatchSegment, in batch: BatchID, after kept: Int) throws -> ClaimPlace {
        func place(_ row: PostgresRow) -> ClaimPlace { ClaimPlace(rank: row.int64(0), line: row.int64(1)) }
        let middle = try row(
            """
            SELECT claim_rank, line FROM jobs WHERE batch_id = $1 AND \(inSegment)
            ORDER BY claim_rank, line OFFSET $6 LIMIT 1
            """, batch, segment.next.rank, segment.next.line, segment.end.rank, segment.end.line, kept - 1, read: place)!
        let end = ClaimPlace.end(ofRank: middle.rank)
        let isFollowed = try number(
            "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE batch_id = $1 AND \(inSegment) LIMIT 1) behind", batch,
            end.rank, end.line, segment.end.rank, segment.end.line)
        if isFollowed > 0 { return end }
        // The rank of the middle goes to the end: the one before it is the last of the first part.
        let earlier = try row(
            """
            SELECT claim_rank, line FROM jobs WHERE batch_id = $1 AND \(inSegment)
            ORDER BY claim_rank DESC, line DESC LIMIT 1
            """, batch, segment.next.rank, segment.next.line, middle.rank - 1, Int64.max, read: place)
        return earlier.map { .end(ofRank: $0.rank) } ?? middle
    }
}

/// Whether a row of `jobs` lies behind ($2, $3), up to ($4, $5), in the order of claims.
let inSegment = "claim_rank IS NOT NULL AND (claim_rank, line) > ($2, $3) AND (claim_rank, line) <= ($4, $5)"
