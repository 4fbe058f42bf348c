//! Layout of labels: how wide a text is, and how labels are kept apart.

/// The width of a text in a font with Arial's metrics, as a multiple of the font size.
pub fn width(text: &str) -> f64 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | '\'' | '|' => 0.23,
        ' ' | '.' | ',' | ':' | ';' | 'f' | 't' | 'I' | '/' | '!' | '(' | ')' | '[' | ']' | '-' | 'r' => 0.31,
        'm' | 'M' | 'W' | '@' | '%' => 0.87,
        'A'..='Z' | 'w' => 0.7,
        c if c.is_ascii() => 0.556,
        // Roughly the scripts with wide characters, such as Chinese.
        '\u{1100}'.. => 1.0,
        _ => 0.6,
    };
    text.chars().map(of).sum()
}

/// Moves heights so that they are at least `gap` apart, between `top` and `floor`. Heights move as little as possible,
/// and none passes another. If they don't all fit, the gap shrinks. The result is in the order of `heights`.
pub fn spread(heights: &[f64], gap: f64, top: f64, floor: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let gap = gap.min((floor - top) / heights.len().saturating_sub(1).max(1) as f64);
    let mut placed = heights.to_vec();
    let mut least = top;
    for place in &order {
        placed[*place] = placed[*place].max(least);
        least = placed[*place] + gap;
    }
    let mut most = floor;
    for place in order.iter().rev() {
        placed[*place] = placed[*place].min(most);
        most = placed[*place] - gap;
    }
    placed
}

/// Which labels to show if only `room` fit: the lowest, the highest, and an even selection by rank in between.
pub fn chosen(heights: &[f64], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    if order.len() <= room {
        return order;
    }
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let last = order.len() - 1;
    (0..room).map(|at| order[at * last / (room - 1).max(1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_apart_and_inside() {
        assert_eq!(spread(&[10.0, 50.0, 11.0], 15.0, 0.0, 100.0), [10.0, 50.0, 25.0]);
        assert_eq!(spread(&[99.0, 98.0, 97.0], 15.0, 0.0, 100.0), [100.0, 85.0, 70.0]);
        let many = spread(&[50.0; 21], 15.0, 0.0, 100.0);
        assert!(many.iter().all(|y| (-1e-9..=100.0 + 1e-9).contains(y)));
        assert!(width("learning_rate 0.01") > width("iii"));
        assert_eq!(chosen(&[3.0, 1.0, 2.0], 5), [0, 1, 2]);
        assert_eq!(chosen(&[5.0, 4.0, 3.0, 2.0, 1.0], 3), [4, 2, 0]);
        assert!(chosen(&[1.0, 2.0], 0).is_empty());
    }
}
