//! An object of a scene, and where it is in the picture.

use super::SIZE;
use super::vocabulary::{Colour, Relation, Shape, Size};

/// One object of a scene. Lengths are in pixels, from the upper left corner of
/// the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its shape.
    pub shape: Shape,
    /// Its colour, as a word.
    pub colour: Colour,
    /// Its size, as a word.
    pub size: Size,
    /// The centre: to the right, down.
    pub centre: [f64; 2],
    /// The object lies within a circle of this radius around its centre.
    pub radius: f64,
    /// Cosine and sine of the angle by which it is turned.
    pub turn: [f64; 2],
    /// Its colour as it is painted: red, green, blue.
    pub shade: [u8; 3],
}

/// The radius of a ring's hole, in parts of its own.
const HOLE: f64 = 0.55;

/// The corners of shapes that have some, in a circle of radius 1.
const SQUARE: [[f64; 2]; 4] = [
    [-0.7071067811865475, -0.7071067811865475],
    [0.7071067811865475, -0.7071067811865475],
    [0.7071067811865475, 0.7071067811865475],
    [-0.7071067811865475, 0.7071067811865475],
];
const TRIANGLE: [[f64; 2]; 3] = [[0., -1.], [0.8660254037844386, 0.5], [-0.8660254037844386, 0.5]];
const STAR: [[f64; 2]; 10] = [
    [0., -1.],
    [0.2586, -0.3560],
    [0.9510565162951535, -0.3090169943749475],
    [0.4185, 0.1360],
    [0.5877852522924731, 0.8090169943749475],
    [0., 0.44],
    [-0.5877852522924731, 0.8090169943749475],
    [-0.4185, 0.1360],
    [-0.9510565162951535, -0.3090169943749475],
    [-0.2586, -0.3560],
];
const CROSS: [[f64; 2]; 12] = [
    [-0.3, -0.95],
    [0.3, -0.95],
    [0.3, -0.3],
    [0.95, -0.3],
    [0.95, 0.3],
    [0.3, 0.3],
    [0.3, 0.95],
    [-0.3, 0.95],
    [-0.3, 0.3],
    [-0.95, 0.3],
    [-0.95, -0.3],
    [-0.3, -0.3],
];

impl Object {
    /// Whether the middle of a pixel lies on the object, `x` pixels to the right
    /// and `y` down. Another object may lie over it there. The hole of a ring is
    /// not covered.
    pub fn covers(&self, x: usize, y: usize) -> bool {
        self.distance([x as f64 + 0.5, y as f64 + 0.5]) <= 0.
    }

    /// A box of pixels with all of the object in it: left, top, and the first
    /// column and the first row that are beyond it.
    pub fn bounds(&self) -> [usize; 4] {
        let [x, y] = self.centre;
        let within = |pixel: f64| pixel.clamp(0., SIZE as f64) as usize;
        let [left, top] = [x, y].map(|middle| within((middle - self.radius).floor()));
        let [right, bottom] = [x, y].map(|middle| within((middle + self.radius).ceil()));
        [left, top, right, bottom]
    }

    /// Where this object is, seen from another: the greater difference of their
    /// centres decides.
    pub fn relation_to(&self, other: &Self) -> Relation {
        let [right, down] = [0, 1].map(|axis| self.centre[axis] - other.centre[axis]);
        match right.abs() > down.abs() {
            true if right < 0. => Relation::LeftOf,
            true => Relation::RightOf,
            false if down < 0. => Relation::Above,
            false => Relation::Below,
        }
    }

    /// How far a point of the picture is from the edge of the object: negative
    /// inside, positive outside.
    pub(super) fn distance(&self, point: [f64; 2]) -> f64 {
        let [x, y] = [0, 1].map(|axis| (point[axis] - self.centre[axis]) / self.radius);
        let [cosine, sine] = self.turn;
        let turned = [x * cosine + y * sine, y * cosine - x * sine];
        let from_centre = (x * x + y * y).sqrt();
        let distance = match self.shape {
            Shape::Circle => from_centre - 1.,
            Shape::Ring => (from_centre - 1.).max(HOLE - from_centre),
            Shape::Square => distance_to_polygon(&SQUARE, turned),
            Shape::Triangle => distance_to_polygon(&TRIANGLE, turned),
            Shape::Star => distance_to_polygon(&STAR, turned),
            Shape::Cross => distance_to_polygon(&CROSS, turned),
        };
        distance * self.radius
    }
}

/// How far a point is from the edge of a polygon, negative inside.
fn distance_to_polygon(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> f64 {
    let mut squared = f64::INFINITY;
    let mut is_inside = false;
    let mut start = corners[corners.len() - 1];
    for &end in corners {
        let along = [end[0] - start[0], end[1] - start[1]];
        let to_point = [x - start[0], y - start[1]];
        let length = along[0] * along[0] + along[1] * along[1];
        let part = ((to_point[0] * along[0] + to_point[1] * along[1]) / length).clamp(0., 1.);
        let [across, down] = [0, 1].map(|axis| to_point[axis] - part * along[axis]);
        squared = squared.min(across * across + down * down);
        // A ray to the right crosses the edge of a polygon an odd number of times from inside.
        if (start[1] > y) != (end[1] > y) && to_point[0] < along[0] * to_point[1] / along[1] {
            is_inside = !is_inside;
        }
        start = end;
    }
    if is_inside { -squared.sqrt() } else { squared.sqrt() }
}
